// Checks the terms that must not drift: how they are written in every page, that pages and sources say the same of the
// figures that are promises, and that metrics whose names are public are still declared so. Prints what is wrong, exits 1.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromSource } from './api/source.mjs';
import { ROOT } from './house.mjs';

const read = (path) => readFileSync(join(ROOT, path), 'utf8');
const under = (folder, name) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => name.test(path))
    .map((path) => `${folder}/${path}`);

/** Made from code, whose names they quote. */
const QUOTING = ['docs/api/reference.md', 'docs/operations/configuration.md'];
const PAGES = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...under('docs', /\.md$/),
  ...under('examples', /(?<!node_modules.*)\.md$/),
].filter((path) => !QUOTING.includes(path));

/** One way of writing each. Code says it in its own way, and is not looked at. */
const SPELLINGS = [
  { term: 'BLAKE3', other: /\bblake[ -]?3\b(?![-.\w])/gi },
  { term: 'KiB, with a space before it', other: /\b\d+ ?(?:kb|KB|Kb|kib|KIB|Kib)\b|\b\d+(?:KiB|kB)\b/g },
  { term: 'MiB, with a space before it', other: /\b\d+ ?(?:mib|MIB|Mib)\b|\b\d+MiB\b/g },
  { term: 'ChaCha20-Poly1305', other: /\bx?chacha20[ -]?poly1305\b/gi, also: ['XChaCha20-Poly1305'] },
  { term: 'Reed-Solomon', other: /\breed[ -]solomon\b/gi },
];

/** Promises: the figure in the source, and the words of each page that tells it. */
const PROMISES = [
  {
    source: ['src/gateway/object-read.ts', /PIECE_BYTES = 64 \* 1024;/],
    pages: [['docs/gateway.md', /pieces of 64 KiB/]],
  },
  {
    source: ['src/node/inflate.ts', /INFLATED_PIECE_BYTES: number = 64 \* 1024;/],
    pages: [['docs/node.md', /64 KiB pieces/]],
  },
  {
    source: ['src/manifest/relocation-slot.ts', /MAX_BYTES = 64 \* 1024;/],
    pages: [['docs/format/relocations.md', /64 KiB/]],
  },
  {
    source: ['src/core/address.ts', /BLAKE3/],
    pages: [
      ['docs/format/pack.md', /BLAKE3/],
      ['docs/architecture.md', /BLAKE3/],
    ],
  },
];

/** Dashboards and alerts of others depend on these: name, type, labels. There may be more; none of these may go. */
const PUBLIC_METRICS = `
storage_chunk_size_bytes histogram
storage_put_object_seconds histogram erasure compression
storage_put_chunk_seconds histogram erasure compression
storage_provider_rtt_ms gauge provider
storage_provider_loss_rate gauge provider
storage_initial_chunk_size gauge
storage_final_chunk_size gauge
storage_put_eta_seconds gauge
storage_repair_attempts_total counter status
storage_repair_failures_total counter error erasure compression
storage_repair_bytes_total counter
storage_engine_info gauge name engine
read_denied_total counter reason
rf_target gauge
rf_observed gauge
requests_total counter route code
bytes_in_total counter
bytes_out_total counter
latency_seconds histogram route
inflight gauge
rejected_total counter reason
integrity_fail_total counter reason`;

/** Code, addresses and links: there, names are what they are. */
const prose = (text) =>
  text
    .replaceAll(/^```.*?^```/gms, (block) => block.replaceAll(/[^\n]/g, ''))
    .replaceAll(/`[^`\n]*`|\]\([^)]*\)|https?:\S+/g, '');

function* spelled(path) {
  const lines = prose(read(path)).split('\n');
  for (const { term, other, also = [] } of SPELLINGS) {
    for (const [at, line] of lines.entries()) {
      for (const [found] of line.matchAll(other))
        if (found !== term && !also.includes(found)) yield `${path}:${at + 1}: "${found}" is written ${term}`;
    }
  }
}

function* promised() {
  for (const { source, pages } of PROMISES)
    for (const [path, words] of [source, ...pages])
      if (!words.test(read(path))) yield `${path} no longer says ${words.source}`;
}

async function* declared() {
  const { names } = await fromSource({ names: 'src/telemetry/names.ts' });
  for (const line of PUBLIC_METRICS.trim().split('\n')) {
    const [name, type, ...labels] = line.split(' ');
    const { [name]: metric } = names.METRICS;
    const is =
      metric === undefined
        ? 'is not declared'
        : `is declared as ${[metric.type, ...metric.labels].join(' ')}`;
    if (is !== `is declared as ${[type, ...labels].join(' ')}`)
      yield `src/telemetry/names.ts: ${name} ${is}; it is public as ${line}`;
  }
}

const wrong = [...PAGES.flatMap((path) => [...spelled(path)]), ...promised()];
for await (const line of declared()) wrong.push(line);
for (const line of wrong) console.error(line);
console.log(`terms: ${PAGES.length} pages, ${wrong.length} wrong`);
if (wrong.length > 0) process.exitCode = 1;
