import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { utf8Decode, utf8Encode } from '../../src/core/bytes.ts';
import { encodeMove, type MoveRow, moveIn } from '../../src/records/move-rows.ts';

const path = new URL('../vectors/moves-v1.json', import.meta.url);
const vectors = JSON.parse(readFileSync(path, 'utf8')) as {
  readonly rows: readonly { readonly row: MoveRow; readonly bytes: string }[];
  readonly refused: readonly { readonly why: string; readonly bytes: string }[];
};

describe('the pinned bytes of moves', () => {
  it.each(vectors.rows)('are what is written today, and mean the same: %#', ({ row, bytes }) => {
    expect(utf8Decode(encodeMove(row))).toBe(bytes);
    expect(moveIn(utf8Encode(bytes))).toEqual(row);
  });

  it.each(vectors.refused)('are refused: $why', ({ bytes }) => {
    expect(moveIn(utf8Encode(bytes))).toBeUndefined();
  });
});
