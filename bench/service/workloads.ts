import { utimesSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { blobPath, writeBlobs } from '../load-blobs.ts';
import { nodePath } from '../load-servers.ts';
import { MIB } from '../numbers.ts';
import { bodiesOf, post, range, sequence } from './phases.ts';
import type { Asked } from './wire.ts';

const KIB = 1024;

/** What a request is counted as. */
export type ClassName = 'range' | 'mid-file' | 'head' | 'cold' | 'put' | 'abuse' | 'read' | 'repair';

export interface Classed {
  readonly what: ClassName;
  readonly ask: Asked;
}

/** Gives the requests of a workload one after the other. */
export type Workload = () => Classed;

interface Content {
  readonly root: string;
  /** Hex. */
  readonly small: readonly string[];
  readonly large: readonly string[];
}

export async function writeContent(root: string): Promise<Content> {
  return { root, small: await writeBlobs(root, 64, 256 * KIB), large: await writeBlobs(root, 64, MIB) };
}

/** 70 % reads of what is in memory (50 % ranges from the start, 20 % in mid-file), 20 % looks, 10 % first reads. */
export function workloadA({ root, small, large }: Content, seed = 1): Workload {
  const random = sequence(seed);
  const one = (of: readonly string[]): string => of[Math.floor(random() * of.length)]!;
  return () => {
    const choice = random();
    const path = nodePath(one(small));
    const length = 1 + Math.floor(random() * 64 * KIB);
    if (choice < 0.5) return { what: 'range', ask: { method: 'GET', path, headers: range(0, length) } };
    if (choice < 0.7)
      return { what: 'mid-file', ask: { method: 'GET', path, headers: range(96 * KIB, length) } };
    if (choice < 0.9) return { what: 'head', ask: { method: 'HEAD', path } };
    const hex = one(large);
    const modified = new Date(1_000_000_000_000 + Math.floor(random() * 1e12));
    utimesSync(blobPath(root, hex), modified, modified);
    return { what: 'cold', ask: { method: 'GET', path: nodePath(hex), headers: range(0, 64 * KIB) } };
  };
}

/** The same, but that one in ten is a put of a MiB, every other one compressed. */
export function workloadB(content: Content, seed = 2): Workload {
  const random = sequence(seed);
  const reads = workloadA(content, seed + 1);
  const bodies = bodiesOf(128, MIB);
  let next = 0;
  return () => (random() < 0.1 ? { what: 'put', ask: post(bodies[next++ % bodies.length]!) } : reads());
}

/** A workload A in which three of ten do what nobody should. */
export function abuse(content: Content, seed = 3): Workload {
  const random = sequence(seed);
  const reads = workloadA(content, seed + 1);
  const bomb = gzipSync(Buffer.alloc(32 * MIB));
  const path = nodePath(content.small[0]!);
  const wrong: readonly Asked[] = [
    { method: 'POST', path: '/o', headers: { 'Content-Encoding': 'gzip' }, body: bomb },
    { method: 'POST', path: '/o', headers: { 'Content-Encoding': 'zstd' }, body: Buffer.from('no zstd') },
    { method: 'POST', path: '/o', headers: { 'Content-Length': '99999999999' } },
    { method: 'PUT', path: nodePath('0'.repeat(64)), body: Buffer.from('other bytes') },
    { method: 'GET', path: '/o/../../etc/passwd' },
    { method: 'GET', path: `/o/${'x'.repeat(4_000)}` },
    { method: 'GET', path: nodePath('f'.repeat(64)) },
    { method: 'GET', path, headers: { Range: `bytes=${'0-0,'.repeat(500)}9-` } },
    { method: 'GET', path, headers: { Range: 'bytes=99999999999-' } },
    { method: 'GET', path, headers: { Authorization: 'Bearer guessed' } },
    { method: 'GET', path, headers: { Origin: 'https://elsewhere.example' } },
    { method: 'PUT', path: `/slots/${'a'.repeat(32)}`, body: Buffer.from('no precondition') },
  ];
  return () =>
    random() < 0.3 ? { what: 'abuse', ask: wrong[Math.floor(random() * wrong.length)]! } : reads();
}

/** Objects of a gateway, read in parts; of a hundred requests one and a half repair a chunk, whether or not it needs it. */
export function soak(paths: readonly string[], bytes: number, seed = 4): Workload {
  const random = sequence(seed);
  return () => {
    const path = paths[Math.floor(random() * paths.length)]!;
    if (random() < 0.015) {
      const query = `manifest=${path.slice('/m/'.length)}&chunk=0&force=true`;
      return { what: 'repair', ask: { method: 'POST', path: `/storage/repair-chunk?${query}` } };
    }
    const start = Math.floor(random() * (bytes - 64 * KIB));
    const length = 1 + Math.floor(random() * 64 * KIB);
    return { what: 'read', ask: { method: 'GET', path, headers: range(start, length) } };
  };
}

/** Blobs that the node does not have in memory, for its backends are far away. */
export function farReads({ small }: Content, seed = 5): Workload {
  const random = sequence(seed);
  return () => {
    const path = nodePath(small[Math.floor(random() * small.length)]!);
    return { what: 'read', ask: { method: 'GET', path, headers: range(0, 4 * KIB) } };
  };
}
