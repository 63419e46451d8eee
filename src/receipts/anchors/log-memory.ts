import { fromHex, toHex, utf8Decode, utf8Encode } from '../../core/bytes.ts';
import { isCount } from '../../core/counts.ts';
import { isHoldfastError } from '../../core/errors.ts';
import type { Engine } from '../../engine/engine.ts';
import { type NoteKey, verifierKey } from './note.ts';

/** How a log was when it was seen last. */
export interface SeenLog {
  readonly size: number;
  /** Hash of the tree of that size. */
  readonly root: Uint8Array;
}

/** What somebody outside of a log's folder knows of it: a folder that was restored from a backup does not tell. */
export interface LogMemory {
  recall(key: NoteKey): Promise<SeenLog | undefined>;
  note(key: NoteKey, seen: SeenLog): Promise<void>;
}

const TABLE = 'anchor_due';
const keyOf = (key: NoteKey): string => `log/${verifierKey(key)}`;
const ROOT = /^[0-9a-f]{64}$/;

/** In the state of a vault. */
export const engineLogMemory = (engine: Engine): LogMemory => ({
  async recall(key) {
    const bytes = await engine
      .table(TABLE)
      .get(keyOf(key))
      .catch((error: unknown) => {
        // What cannot be read is forgotten, and written anew.
        if (isHoldfastError(error, 'Corrupt')) return undefined;
        throw error;
      });
    if (bytes === undefined) return undefined;
    const { size, root } = JSON.parse(utf8Decode(bytes)) as Record<string, unknown>;
    return isCount(size) && typeof root === 'string' && ROOT.test(root)
      ? { size: size as number, root: fromHex(root) }
      : undefined;
  },
  async note(key, { size, root }) {
    const value = utf8Encode(JSON.stringify({ v: 1, size, root: toHex(root) }));
    await engine.table(TABLE).put(keyOf(key), value, { sync: true });
  },
});
