import { open, readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { MIB } from './numbers.ts';

/** Real bytes of this machine, no more than this much of one file. */
const MOST_OF_ONE = 96 * MIB;
const TEXT = new Set([
  '.js',
  '.mjs',
  '.cjs',
  '.ts',
  '.json',
  '.md',
  '.txt',
  '.map',
  '.html',
  '.css',
  '.py',
  '.h',
]);
const BINARY = new Set(['', '.so', '.node', '.wasm', '.a', '.o', '.gz', '.png', '.woff2', '.ldb']);

export interface Corpus {
  readonly bytes: number;
  /** E.g. `text 301 MiB of 21,412 files, binaries 211 MiB of 37 files`. */
  readonly madeOf: string;
}

/**
 * One file of text and binaries, half and half as far as there is enough, from Node itself, the packages here and
 * the system, in the order of their paths. What the machine lacks is filled by going round again.
 */
export async function writeCorpus(path: string, bytes: number, packages: string): Promise<Corpus> {
  const out = await open(path, 'w');
  const roots = [packages, '/usr/lib', '/usr/share', '/usr/bin'];
  try {
    const text = await gather(out, roots, isText, bytes / 2);
    const binary = await gather(
      out,
      [process.execPath, ...roots.slice(1), packages],
      isBinary,
      bytes - text.bytes,
    );
    const size = text.bytes + binary.bytes;
    const again = await repeat(out, path, size, bytes);
    const part = ({ bytes, files }: Part): string => `${(bytes / MIB).toFixed(0)} MiB of ${files} files`;
    const round = again > 0 ? `, ${(again / MIB).toFixed(0)} MiB of both again` : '';
    return { bytes: size + again, madeOf: `text ${part(text)}, binaries ${part(binary)}${round}` };
  } finally {
    await out.close();
  }
}

/** The text of the packages alone, which is the same wherever the same versions are installed. */
export async function writeText(path: string, bytes: number, packages: string): Promise<void> {
  const out = await open(path, 'w');
  try {
    const text = await gather(out, [packages], isText, bytes);
    await repeat(out, path, text.bytes, bytes);
  } finally {
    await out.close();
  }
}

const isText = (name: string): boolean => TEXT.has(extname(name));
const isBinary = (name: string): boolean => BINARY.has(extname(name)) || /\.so\.[\d.]+$/.test(name);

interface Part {
  bytes: number;
  files: number;
}

type Out = Awaited<ReturnType<typeof open>>;

async function gather(
  out: Out,
  roots: readonly string[],
  wanted: (name: string) => boolean,
  most: number,
): Promise<Part> {
  const part: Part = { bytes: 0, files: 0 };
  for (const root of roots) {
    for await (const path of filesUnder(root)) {
      if (part.bytes >= most) return part;
      if (path !== root && !wanted(path)) continue;
      const content = await readFile(path).catch(() => undefined);
      if (content === undefined || content.length === 0) continue;
      const take = Math.min(content.length, MOST_OF_ONE, most - part.bytes);
      await out.write(content, 0, take);
      part.bytes += take;
      part.files++;
    }
  }
  return part;
}

/** Regular files in the order of their names; links are not followed. */
async function* filesUnder(path: string): AsyncGenerator<string> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) {
    yield path;
    return;
  }
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    if (entry.isFile()) yield join(path, entry.name);
    else if (entry.isDirectory()) yield* filesUnder(join(path, entry.name));
  }
}

async function repeat(out: Out, path: string, size: number, wanted: number): Promise<number> {
  if (size === 0) throw new Error('found no files to make the real input of');
  const from = await open(path, 'r');
  let done = 0;
  try {
    const piece = new Uint8Array(8 * MIB);
    while (size + done < wanted) {
      const at = done % size;
      const { bytesRead } = await from.read(
        piece,
        0,
        Math.min(piece.length, size - at, wanted - size - done),
        at,
      );
      await out.write(piece, 0, bytesRead);
      done += bytesRead;
    }
  } finally {
    await from.close();
  }
  return done;
}
