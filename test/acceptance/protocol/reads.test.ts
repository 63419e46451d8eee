import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { builtLibrary, CliVault, MAIN, SLOW, said } from '../../helpers/cli.ts';
import { readAll } from '../../helpers/vault.ts';
import { stamped, versionOf } from './children/stamped.mjs';

const MB = 1_000_000;
const OVERWRITER = fileURLToPath(new URL('children/overwriter.mjs', import.meta.url));
const LIBRARY = fileURLToPath(new URL('../index.js', `file://${MAIN}`));
const READERS = 3;
/** Versions from here on are of this process. */
const FROM_HERE = 1_000_000;

type Vault = Awaited<ReturnType<CliVault['open']>>;

let cli: CliVault;
afterEach(() => cli.remove());

/** What is replaced stays for that long; the shorter, the more of what is read is deleted meanwhile. */
const retention = (seconds: number): string => `[retention]\nreplaced_seconds = ${seconds}\n`;

/** Another process that overwrites the name all the time. */
function overwriting(bytes: number) {
  const env = { PATH: process.env.PATH, HOLDFAST_NATIVE: process.env.HOLDFAST_NATIVE };
  const args = [OVERWRITER, LIBRARY, cli.home, join(cli.home, 'storage.toml'), `${bytes}`];
  const child = spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const output = text(child.stdout);
  const closed = once(child, 'close');
  return {
    /** @returns how many versions there were. */
    async end(): Promise<number> {
      child.stdin.end();
      await closed;
      return Number(await output);
    },
  };
}

/** The same in this process, which needs not wait for the other to let go of the database. */
function overwritingWith(vault: Vault, bytes: number) {
  let ended = false;
  let version = FROM_HERE;
  const done = (async () => {
    for (; !ended; version++) await vault.putObject(stamped(version, 0, bytes), { name: 'x' });
  })();
  return {
    async end(): Promise<number> {
      ended = true;
      await done;
      return version - FROM_HERE;
    },
  };
}

interface Part {
  readonly start: number;
  readonly length: number;
}

type Read = (part: Part | undefined) => Promise<Uint8Array>;

const byLibrary =
  (vault: Vault): Read =>
  async (part) =>
    readAll(await vault.getObject('x', part));

const byHttp =
  (url: string): Read =>
  async (part) => {
    const headers = part && { range: `bytes=${part.start}-${part.start + part.length - 1}` };
    const response = await fetch(`${url}/n/x`, { headers: headers ?? {} });
    const body = await response.arrayBuffer();
    if (!response.ok) throw new Error(`${response.status}: ${Buffer.from(body)}`);
    return new Uint8Array(body);
  };

/** Every how many reads one is of the whole object. The others are of its first bytes, or of a part somewhere. */
interface Plan {
  readonly bytes: number;
  readonly reads: number;
  readonly wholeEvery: number;
  readonly graceSeconds: number;
}

function partOf({ bytes, wholeEvery }: Plan, read: number): Part | undefined {
  if (read % wholeEvery === 0) return undefined;
  const length = Math.min(bytes - 1, 1024 + Math.floor(Math.random() * Math.min(MB, bytes)));
  return { start: read % 3 === 0 ? 0 : Math.floor(Math.random() * (bytes - length)), length };
}

/** @returns how many reads there were of each kind, and of how many bytes, once all are done. */
async function readAllThrough(plan: Plan, ways: Readonly<Record<string, Read>>) {
  const count = { whole: 0, parts: 0, bytes: 0, versions: new Set<number>(), failures: [] as string[] };
  const names = Object.keys(ways);
  let next = 0;
  const reader = async (): Promise<void> => {
    // On a busy machine it takes more reads until the name stands for another version.
    const isDue = (read: number): boolean => read < (count.versions.size > 1 ? 1 : 20) * plan.reads;
    for (let read = next++; isDue(read); read = next++) {
      const part = partOf(plan, read);
      const way = names[Math.floor(read / 2) % names.length]!;
      try {
        const got = await ways[way]!(part);
        const version = versionOf(got, part?.start ?? 0);
        const isAll = got.length === (part?.length ?? plan.bytes);
        if (version === undefined || !isAll) count.failures.push(`${way}: a mixture, or ${got.length} bytes`);
        else count.versions.add(version);
        count.bytes += got.length;
      } catch (error) {
        count.failures.push(`${way}: ${error}`);
      }
      count[part === undefined ? 'whole' : 'parts']++;
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return count;
}

const PLANS: readonly Plan[] = [
  { bytes: 3000, reads: SLOW ? 5000 : 300, wholeEvery: 2, graceSeconds: 0 },
  { bytes: 1.5 * MB, reads: SLOW ? 5000 : 60, wholeEvery: 2, graceSeconds: 3 },
  { bytes: 50 * MB, reads: SLOW ? 5000 : 12, wholeEvery: SLOW ? 40 : 6, graceSeconds: 15 },
];

it.each(PLANS)(
  'no read of a name under constant overwrite fails or mixes versions: $bytes bytes',
  async (plan) => {
    cli = await CliVault.create(retention(plan.graceSeconds));
    const { startGateway } = await builtLibrary().then(
      () => import(fileURLToPath(new URL('../gateway.js', `file://${MAIN}`))),
    );
    const vault = await cli.open();
    await vault.putObject(stamped(0, 0, plan.bytes), { name: 'x' });
    const gateway = await startGateway({ vault });
    const started = performance.now();
    const writers = [overwriting(plan.bytes), overwritingWith(vault, plan.bytes)];
    try {
      const count = await readAllThrough(plan, { library: byLibrary(vault), gateway: byHttp(gateway.url) });
      const get = await cli.run(['get', 'x']);
      expect(versionOf(get.stdout, 0), said(get)).toBeDefined();
      const versions = (await Promise.all(writers.map((writer) => writer.end()))).join(' + ');
      console.log(
        `reads of ${plan.bytes} bytes: ${count.whole} whole and ${count.parts} in part, ${(count.bytes / MB).toFixed(0)} MB, half of them over HTTP, of ${count.versions.size} of ${versions} versions, in ${((performance.now() - started) / 1000).toFixed(0)} s: ${count.failures.length} failures`,
      );
      expect(count.failures.slice(0, 3)).toEqual([]);
      expect(count.versions.size).toBeGreaterThan(1);
    } finally {
      await Promise.all(writers.map((writer) => writer.end()));
      await gateway.close();
      await vault.close();
    }
  },
);
