import { describe, expect, test } from 'vitest';
import { CodecMemory } from '../../../src/pipeline/put/segment-builder.ts';

/** How many of 1,000 chunks are tried, when those that shrink are as told. */
function tried(shrinks: (chunk: number) => boolean): number[] {
  const memory = new CodecMemory('zstd');
  const chunks: number[] = [];
  for (let chunk = 0; chunk < 1000; chunk++) {
    const codec = memory.codecFor(chunk);
    if (codec === 'zstd') chunks.push(chunk);
    memory.learn(codec, codec === 'zstd' && shrinks(chunk));
  }
  return chunks;
}

describe('what is remembered of an object that does not shrink', () => {
  test('saves all but a few tries', () => {
    expect(tried(() => false).length).toBeLessThan(8 + 1000 / 16 + 1);
  });

  test('is forgotten as soon as a chunk shrinks', () => {
    const chunks = tried((chunk) => chunk >= 500);
    expect(chunks.filter((chunk) => chunk >= 512).length).toBe(1000 - 512);
  });

  test('changes nothing where every chunk shrinks, or every second', () => {
    expect(tried(() => true).length).toBe(1000);
    expect(tried((chunk) => chunk % 2 === 0).length).toBe(1000);
  });
});
