/** Where the time went: `top.js FILE.cpuprofile…` adds up what `node --cpu-prof` wrote, one file for each thread. */

import { readFile } from 'node:fs/promises';
import { entryOf } from '../src/core/maps.ts';
import { columns } from './numbers.ts';

const LINES = 40;

/** The parts of V8's format that are used here. */
interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly children?: readonly number[];
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
}

interface Times {
  self: number;
  /** With all it called. */
  total: number;
}

async function main(files: readonly string[]): Promise<void> {
  if (files.length === 0) throw new TypeError('which profiles? top.js FILE.cpuprofile…');
  const times = new Map<string, Times>();
  let busy = 0;
  for (const file of files) busy += add(JSON.parse(await readFile(file, 'utf8')) as Profile, times);
  const share = (microseconds: number): string => `${((100 * microseconds) / busy).toFixed(1)} %`;
  const table = (title: string, by: keyof Times): string =>
    columns([
      [title, 'self', 'with callees'],
      ...[...times]
        .sort(([, a], [, b]) => b[by] - a[by])
        .slice(0, LINES)
        .map(([name, { self, total }]) => [name, share(self), share(total)]),
    ]);
  process.stdout.write(
    `${(busy / 1e6).toFixed(2)} s not idle, in ${files.length} threads\n\n` +
      `${table('by the function itself', 'self')}\n\n${table('by the function and what it called', 'total')}\n`,
  );
}

/** @returns microseconds that were not idle. */
function add({ nodes, samples, timeDeltas }: Profile, times: Map<string, Times>): number {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children }) => (children ?? []).map((child) => [child, id])));
  const own = new Map<number, number>();
  samples.forEach((id, i) => void own.set(id, (own.get(id) ?? 0) + timeDeltas[i]!));
  const timesOf = (name: string): Times => entryOf(times, name, () => ({ self: 0, total: 0 }));
  let busy = 0;
  for (const [id, microseconds] of own) {
    const name = nameOf(byId.get(id)!);
    if (name === '(idle)') continue;
    busy += microseconds;
    timesOf(name).self += microseconds;
    const seen = new Set<string>();
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const above = nameOf(byId.get(at)!);
      if (!seen.has(above)) timesOf(above).total += microseconds;
      seen.add(above);
    }
  }
  return busy;
}

/** E.g. `seal src/coding/aead-node.js:18`. */
function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  if (url === '') return functionName;
  const place = url.replace(/^.*\/(?=(src|node_modules|dist|bench)\/)/, '');
  return `${functionName || 'anonymous'} ${place}:${lineNumber + 1}`;
}

await main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
});
