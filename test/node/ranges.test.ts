import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRange } from '../../src/http/selection.ts';
import { noise } from '../helpers/vault.ts';
import { addressFor, requestText, sendRaw, startNode } from './harness.ts';

/** What a range set selects, found out the slow way: the set of byte positions. */
function selected(
  specs: readonly (readonly [number | undefined, number | undefined])[],
  size: number,
): number[] {
  const positions = new Set<number>();
  for (const [first, last] of specs) {
    for (let at = 0; at < size; at++) {
      const inside =
        first === undefined ? at >= size - last! : at >= first && (last === undefined || at <= last);
      if (inside) positions.add(at);
    }
  }
  return [...positions].sort((a, b) => a - b);
}

/** So many ranges of a byte each that make one run. */
const bytewise = (count: number): string => Array.from({ length: count }, (_, i) => `${i}-${i}`).join(',');

const isRun = (positions: readonly number[]): boolean =>
  positions.every((at, i) => i === 0 || at === positions[i - 1]! + 1);

const spec = fc.oneof(
  fc.tuple(fc.nat(40), fc.constant(undefined)),
  fc.tuple(fc.constant(undefined), fc.nat(40)),
  fc.tuple(fc.nat(40), fc.nat(40)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
);

describe('a Range header', () => {
  it('selects what a slow reading of the standard selects', () => {
    fc.assert(
      fc.property(
        fc.array(spec, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 30 }),
        (specs, size) => {
          const header = `bytes=${specs.map(([first, last]) => `${first ?? ''}-${last ?? ''}`).join(', ')}`;
          const range = parseRange(header, size);
          const positions = selected(specs, size);
          if (positions.length === 0) expect(range).toBe('unsatisfiable');
          else if (!isRun(positions)) expect(range).toBe('whole');
          else expect(range).toEqual({ start: positions[0], end: positions.at(-1)! + 1 });
        },
      ),
      { numRuns: process.env.SLOW === '1' ? 100_000 : 2_000 },
    );
  });

  it.each([
    ['bytes=5-4', 'inverted'],
    ['bytes=5-9,4-3', 'one of two inverted'],
    ['bytes=-', 'empty'],
    ['bytes=', 'no ranges'],
    ['bytes=,,', 'only separators'],
    ['bytes=a-b', 'letters'],
    ['bytes=+1-2', 'a sign'],
    ['bytes=1 -2', 'a space inside'],
    ['bytes=0x1-2', 'hexadecimal'],
    ['bytes=1.0-2', 'a fraction'],
    ['bytes:1-2', 'no equals sign'],
    ['seconds=1-2', 'another unit'],
    ['bytes=0-99999999999999999999', 'a number beyond counting'],
    ['bytes=0-1,bytes=2-3', 'two units'],
    [`bytes=${bytewise(65)}`, 'more than 64 parts, though they touch'],
    [`bytes=0-9${' '.repeat(4096)}`, 'longer than 4 KiB'],
    ['bytes=0-1,50-51', 'two parts'],
  ])('that cannot be served as one part is ignored: %s (%s)', (header) => {
    expect(parseRange(header, 100)).toBe('whole');
  });

  it('knows the edges', () => {
    expect(parseRange(`bytes=${bytewise(64)}`, 100)).toEqual({ start: 0, end: 64 });
    expect(parseRange(`bytes=0-9${' '.repeat(4096 - 9)}`, 100)).toEqual({ start: 0, end: 10 });
    expect(parseRange('bytes=99-', 100)).toEqual({ start: 99, end: 100 });
    expect(parseRange('bytes=100-', 100)).toBe('unsatisfiable');
    expect(parseRange('bytes=-0', 100)).toBe('unsatisfiable');
    expect(parseRange('bytes=-1', 100)).toEqual({ start: 99, end: 100 });
    expect(parseRange('bytes=-1000', 100)).toEqual({ start: 0, end: 100 });
    expect(parseRange('bytes=0-0', 0)).toBe('unsatisfiable');
    expect(parseRange('bytes=-5', 0)).toBe('whole');
    expect(parseRange('BYTES=0-0', 1)).toEqual({ start: 0, end: 1 });
    expect(parseRange('bytes=0-1, ,2-3', 100)).toEqual({ start: 0, end: 4 });
    expect(parseRange('bytes=0-1,500-600', 100)).toEqual({ start: 0, end: 2 });
    expect(parseRange(undefined, 100)).toBe('whole');
  });
});

describe('a range of a blob', () => {
  // Not in the hot cache, over several verification pieces, the last of them short.
  const SIZE = 5 * 64 * 1024 + 777;
  const bytes = noise(SIZE, 3);
  const address = addressFor(bytes);

  it.each([
    ['in memory', SIZE],
    ['on disk', 0],
  ])('is right wherever it begins and ends, %s', async (_, hotBlobBytes) => {
    const node = await startNode({ limits: { hotBlobBytes } });
    await node.adapter.store(address, [bytes]);
    const edges = [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000, SIZE - 1];
    for (const first of edges) {
      for (const last of edges.filter((edge) => edge >= first)) {
        const response = await fetch(`${node.url}/o/${address}`, {
          headers: { range: `bytes=${first}-${last}` },
        });
        const got = new Uint8Array(await response.arrayBuffer());
        expect(response.status).toBe(206);
        expect(response.headers.get('content-range')).toBe(`bytes ${first}-${last}/${SIZE}`);
        expect(Buffer.compare(got, bytes.subarray(first, last + 1)), `${first}-${last}`).toBe(0);
      }
    }
    const whole = await fetch(`${node.url}/o/${address}`);
    expect(Buffer.compare(new Uint8Array(await whole.arrayBuffer()), bytes)).toBe(0);
  });

  it('that has a thousand parts gives the whole, once', async () => {
    const node = await startNode();
    await node.adapter.store(address, [bytes]);
    const range = `bytes=${Array.from({ length: 1000 }, (_, i) => `${3 * i}-${3 * i}`).join(',')}`;
    const answer = await sendRaw(node.port, requestText('GET', `/o/${address}`, { Range: range }));
    expect(answer.status).toBe(200);
    expect(answer.body.length).toBe(SIZE);
  });

  it('that overlaps itself gives each byte once', async () => {
    const node = await startNode();
    await node.adapter.store(address, [bytes]);
    const answer = await sendRaw(
      node.port,
      requestText('GET', `/o/${address}`, { Range: 'bytes=0-99,50-149,150-199' }),
    );
    expect(answer.status).toBe(206);
    expect(answer.headers['content-range']).toBe(`bytes 0-199/${SIZE}`);
    expect(Buffer.compare(answer.body, bytes.subarray(0, 200))).toBe(0);
  });

  it('of an empty blob is not satisfiable, its end is', async () => {
    const node = await startNode();
    const empty = addressFor(new Uint8Array());
    await node.adapter.store(empty, []);
    const get = (range: string) => sendRaw(node.port, requestText('GET', `/o/${empty}`, { Range: range }));
    expect(await get('bytes=0-')).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */0' } });
    expect(await get('bytes=-5')).toMatchObject({ status: 200, headers: { 'content-length': '0' } });
  });
});
