import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { openPointer, type Pointer } from '../manifest/pointer.ts';
import type { RecordsContext } from './context.ts';

/** Engine table of name pointers: opaque name key → sealed pointer. The authority for names. */
export const NAMES_TABLE = 'names';
export const MAX_NAME_BYTES = 1024;

/** @throws HoldfastError `ConfigInvalid` for names that cannot be kept or typed. */
export function checkName(name: string): string {
  const bytes = new TextEncoder().encode(name).length;
  const problem =
    bytes === 0
      ? 'is empty'
      : bytes > MAX_NAME_BYTES
        ? `has ${bytes} bytes, at most ${MAX_NAME_BYTES} are allowed`
        : /\p{Cc}/u.test(name)
          ? 'has control characters'
          : /^b3:/.test(name)
            ? 'starts with "b3:", which names manifests by address'
            : /\p{Surrogate}/u.test(name)
              ? 'is not well-formed Unicode'
              : undefined;
  if (problem === undefined) return name;
  throw new HoldfastError('ConfigInvalid', `the name ${problem}`, { code: 'bad_name' });
}

/** A record of `names` that cannot be read: nobody knows for which name it stands. */
export interface DamagedName {
  readonly nameKey: string;
}

/**
 * Opens names one after another, and leaves out those that are damaged. A wrong key opens none, which is no damage.
 */
export class NameOpener {
  readonly damaged: DamagedName[] = [];
  readonly #context: Pick<RecordsContext, 'keys'>;
  #opened = false;
  #refused: unknown;

  constructor(context: Pick<RecordsContext, 'keys'>) {
    this.#context = context;
  }

  /** For {@link EntriesOptions}: what the engine itself finds damaged. */
  readonly onDamaged = (nameKey: string): void => {
    this.damaged.push({ nameKey });
  };

  open(sealed: Uint8Array, nameKey: string): Pointer | undefined {
    try {
      const pointer = openName(this.#context, sealed, nameKey);
      this.#opened = true;
      return pointer;
    } catch (error) {
      if (!isHoldfastError(error, 'Corrupt')) throw error;
      this.#refused ??= error;
      this.damaged.push({ nameKey });
      return undefined;
    }
  }

  /** @throws HoldfastError `Corrupt`, code `authentication`, when there were names and this key opened none of them. */
  end(): void {
    if (this.#refused !== undefined && !this.#opened) throw this.#refused;
  }
}

/** @throws HoldfastError `Corrupt` for a pointer that is damaged, of another name, or another vault's. */
export function openName({ keys }: Pick<RecordsContext, 'keys'>, sealed: Uint8Array, key: string): Pointer {
  try {
    return openPointer(sealed, key, keys.pointer);
  } catch (cause) {
    if (!(cause instanceof HoldfastError) || cause.code !== 'authentication') throw cause;
    throw new HoldfastError('Corrupt', 'a name in the local state does not open with this key', {
      code: 'authentication',
      hint: 'Use the key file that the state was made with; or move the folder engine aside and run `holdfast recover`.',
      cause,
    });
  }
}
