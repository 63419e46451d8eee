import { utf8Decode, utf8Encode } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import type { Engine } from './engine.ts';

/** Left in a store that is being moved: nobody else opens it. */
export interface Mark {
  /** `moving` and `moved`: to the other; `filling`: from it. */
  readonly state: 'moving' | 'moved' | 'filling';
  /** The other store, as the user named it; no secret. */
  readonly other: string;
}

/** An engine whose records can be moved to another. */
export interface MovableEngine extends Engine {
  /** Names of all tables that have entries, known or not. */
  tables(): Promise<readonly string[]>;
  mark(): Promise<Mark | undefined>;
  /** Durable, and in force for everybody, when it resolves: what others had begun to write is done by then. */
  setMark(mark: Mark | undefined): Promise<void>;
}

export const encodeMark = (mark: Mark): Uint8Array => utf8Encode(`${JSON.stringify({ v: 1, ...mark })}\n`);

/** What cannot be read stands for a store that must not be opened. */
export function markIn(bytes: Uint8Array): Mark {
  try {
    const { v, state, other } = JSON.parse(utf8Decode(bytes)) as Record<string, unknown>;
    const known = state === 'moving' || state === 'moved' || state === 'filling';
    if (v === 1 && known && typeof other === 'string') return { state, other };
  } catch {
    // told below
  }
  return { state: 'moved', other: 'a place that cannot be read from the mark' };
}

/** What whoever opens a marked store is told. */
export function storeMoved({ state, other }: Mark): HoldfastError {
  const told = {
    moved: [`these records were moved to ${other}`, `Use ${other}: set engine.default, or --home, to it.`],
    moving: [
      `these records are being moved to ${other}`,
      'Wait for `holdfast migrate`, or run it again if it was ended.',
    ],
    filling: [
      `these records are not all here yet: they come from ${other}`,
      'Wait for `holdfast migrate`, or run it again if it was ended.',
    ],
  }[state];
  return new HoldfastError('Unavailable', told[0]!, {
    code: 'engine_moved',
    status: 'permanent',
    hint: told[1]!,
    context: { state, other },
  });
}
