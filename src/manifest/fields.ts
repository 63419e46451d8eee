import { HoldfastError } from '../core/errors.ts';
import { Cid } from './cid.ts';

/** Reads the fields of a decoded map one by one and refuses whatever is missing, of another type, or left over. */
export class Fields {
  readonly #map: Map<string, unknown>;
  readonly #what: string;

  constructor(value: unknown, what: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || isLeaf(value)) {
      throw malformed(what, 'not a map');
    }
    this.#map = new Map(Object.entries(value));
    this.#what = what;
  }

  has(key: string): boolean {
    return this.#map.has(key);
  }

  uint(key: string, max: number = Number.MAX_SAFE_INTEGER, min = 0): number {
    const value = this.#take(key);
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      throw this.bad(key, `an integer from ${min} to ${max}`);
    }
    return value as number;
  }

  /** @param length exact, if given. */
  bytes(key: string, length?: number): Uint8Array {
    const value = this.#take(key);
    if (!(value instanceof Uint8Array) || (length !== undefined && value.length !== length)) {
      throw this.bad(key, length === undefined ? 'bytes' : `${length} bytes`);
    }
    return value;
  }

  text(key: string, maxLength = 4096): string {
    const value = this.#take(key);
    if (typeof value !== 'string' || value.length > maxLength)
      throw this.bad(key, `text of at most ${maxLength}`);
    return value;
  }

  oneOf<T extends string>(key: string, allowed: readonly T[]): T {
    const value = this.#take(key);
    if (!allowed.includes(value as T)) throw this.bad(key, `one of ${allowed.join(', ')}`);
    return value as T;
  }

  list<T>(key: string, maxLength: number, item: (value: unknown, index: number) => T): T[] {
    const value = this.#take(key);
    if (!Array.isArray(value) || value.length > maxLength)
      throw this.bad(key, `a list of at most ${maxLength}`);
    return value.map(item);
  }

  uints(key: string, maxLength: number, max: number = Number.MAX_SAFE_INTEGER): number[] {
    return this.list(key, maxLength, (value) => {
      if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > max) {
        throw this.bad(key, `integers up to ${max}`);
      }
      return value as number;
    });
  }

  cid(key: string): Cid {
    const value = this.#take(key);
    if (!(value instanceof Cid)) throw this.bad(key, 'a link');
    return value;
  }

  /** The raw value, for a nested map or an optional field. */
  take(key: string): unknown {
    return this.#take(key);
  }

  /** Must be called last: unknown fields are refused, so that nothing unauthenticated hides in a node. */
  end(): void {
    const left = [...this.#map.keys()];
    if (left.length > 0) throw malformed(this.#what, `unknown field ${left[0]}`);
  }

  bad(key: string, expected: string): HoldfastError {
    return malformed(this.#what, `${key}: expected ${expected}`);
  }

  #take(key: string): unknown {
    if (!this.#map.has(key)) throw malformed(this.#what, `${key} is missing`);
    const value = this.#map.get(key);
    this.#map.delete(key);
    return value;
  }
}

const isLeaf = (value: object): boolean => value instanceof Uint8Array || value instanceof Cid;

function malformed(what: string, why: string): HoldfastError {
  return new HoldfastError('Corrupt', `malformed ${what}: ${why}`, { code: 'malformed_manifest' });
}
