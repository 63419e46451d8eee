import { randomFillSync } from 'node:crypto';
import { utimesSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { putRandom } from '../gateway-server.ts';
import { blobPath, writeBlobs } from '../load-blobs.ts';
import { nodePath } from '../load-servers.ts';
import { MIB } from '../numbers.ts';
import type { Served, Servers } from './servers.ts';
import type { Asked } from './wire.ts';

const KIB = 1024;
/** Objects of 1 MiB of the gateway: those that fit in its memory, and those that do not. */
const KEPT = 8;
const DECODED = 40;

/** One kind of load. Each stresses something else, so that what is slower shows beside nothing but itself. */
export interface Phase {
  readonly name: PhaseName;
  readonly connections: number;
  /** The one that is measured. */
  readonly subject: Served;
  /** The request at this place of the sequence. @param reference the same, or the nearest to it, of the plain server. */
  ask(i: number, reference: boolean): Asked;
}

export const PHASES = ['hot', 'first', 'puts', 'long', 'objects', 'decoded', 'far'] as const;
export type PhaseName = (typeof PHASES)[number];

/** Numbers that are the same in each run. */
export function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export const range = (start: number, length: number): Record<string, string> => ({
  Range: `bytes=${start}-${start + length - 1}`,
});

export async function preparePhases(servers: Servers): Promise<Phase[]> {
  const { node, gateway, root } = servers;
  const small = await writeBlobs(root, 32, 256 * KIB);
  const large = await writeBlobs(root, 24, 2 * MIB);
  const long = await writeBlobs(root, 2, 32 * MIB);
  await node.tidy();
  const puts = bodiesOf(96, MIB);
  const longPuts = bodiesOf(4, 24 * MIB, false);
  const random = sequence(1);
  const plan = Array.from({ length: 4096 }, () => [random(), random(), random()] as const);
  const at = (i: number): readonly [number, number, number] => plan[i % plan.length]!;
  const objects = await putRandom(
    servers.home,
    Array.from({ length: KEPT + DECODED }, () => MIB),
  );
  const kept = objects.slice(0, KEPT);
  const decoded = objects.slice(KEPT);

  return [
    {
      ...{ name: 'hot', connections: 16, subject: node },
      // What a workload A has of what is in memory: ranges from the start, ranges in mid-file, and looks.
      ask(i) {
        const [what, where, which] = at(i);
        const path = nodePath(small[Math.floor(which * small.length)]!);
        if (what > 0.78) return { method: 'HEAD', path };
        const length = 1 + Math.floor(where * 64 * KIB);
        const start = what > 0.55 ? 64 * KIB + Math.floor(which * 64 * KIB) : 0;
        return { method: 'GET', path, headers: range(start, length) };
      },
    },
    {
      ...{ name: 'first', connections: 4, subject: node },
      // A blob whose file was touched is read and hashed anew.
      ask(i) {
        const hex = large[i % large.length]!;
        const path = nodePath(hex);
        utimesSync(blobPath(root, hex), new Date(), new Date(1_000_000_000_000 + 1_000 * touched++));
        return i % 2 === 0
          ? { method: 'HEAD', path }
          : { method: 'GET', path, headers: range(512 * KIB, 64 * KIB) };
      },
    },
    { ...{ name: 'puts', connections: 8, subject: node }, ask: (i) => post(puts[i % puts.length]!, 3) },
    {
      ...{ name: 'objects', connections: 16, subject: gateway },
      // Chunks that are in memory.
      ask(i, reference) {
        const [what, where, which] = at(i);
        const path = reference
          ? nodePath(small[Math.floor(which * small.length)]!)
          : kept[Math.floor(which * kept.length)]!;
        if (what > 0.78) return { method: 'HEAD', path };
        return { method: 'GET', path, headers: range(0, 1 + Math.floor(where * 64 * KIB)) };
      },
    },
    {
      ...{ name: 'decoded', connections: 4, subject: gateway },
      // More than fits in memory, always in the same order: each read fetches and decodes a chunk.
      ask(i, reference) {
        const path = reference ? nodePath(large[i % large.length]!) : decoded[i % decoded.length]!;
        return { method: 'GET', path, headers: range(64 * KIB, 64 * KIB) };
      },
    },
    {
      ...{ name: 'long', connections: 4, subject: node },
      ask(i) {
        const path = nodePath(long[i % long.length]!);
        if (i % 4 === 3) return post(longPuts[(i >> 2) % longPuts.length]!);
        if (i % 4 === 1) return { method: 'GET', path };
        return { method: 'GET', path, headers: range(16 * MIB + (i % 64) * 64 * KIB, 64 * KIB) };
      },
    },
  ];
}

let touched = 0;

interface Body {
  readonly bytes: Uint8Array;
  readonly gzip: boolean;
}

export const post = ({ bytes, gzip }: Body, pauseMs?: number): Asked => ({
  method: 'POST',
  path: '/o',
  ...(gzip ? { headers: { 'Content-Encoding': 'gzip' } } : {}),
  body: bytes,
  ...(pauseMs === undefined ? {} : { pauseMs }),
});

/** No two alike. Half of them compressed, unless `mixed` says that none is. */
export function bodiesOf(count: number, length: number, mixed = true): Body[] {
  const bytes = randomFillSync(new Uint8Array(length));
  const text = Buffer.alloc(length);
  for (let i = 0; i < length; i += 16) text.write(`line ${(i * 2_654_435_761) % 4_093} of it`, i, 'latin1');
  return Array.from({ length: count }, (_, i) => {
    const gzip = mixed && i % 2 === 1;
    const body = Buffer.from(gzip ? text : bytes);
    body.writeUInt32LE(i + 1, 0);
    body.writeUInt32LE(length, 4);
    return { bytes: gzip ? gzipSync(body, { level: 1 }) : body, gzip };
  });
}
