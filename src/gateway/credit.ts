import { portableBlake3 } from '../core/b3/portable.ts';
import { utf8Encode } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';

/** How an object is read: as itself, as bytes of no type, as a WebAssembly module. */
export type ReadKind = 'manifest' | 'blob' | 'wasm';

/** What a manifest says of who may be credited for it. */
export interface CreditedManifest {
  /** Its address. */
  readonly manifest: string;
  /** Its list: in any order, with doubles perhaps, or empty. */
  readonly providers: readonly string[];
}

export interface CreditOptions {
  /** Default: none. */
  readonly overrides?: ProviderOverrides | undefined;
  /** Default: `manifest`. */
  readonly kind?: ReadKind | undefined;
  /** The provider that answered first, for a manifest that lists none. */
  readonly firstAnswered?: string | undefined;
}

/**
 * The provider that a read is credited to: the same for the same key and the same set of providers, spread evenly
 * over keys. The list is normalised first: trimmed, without blanks and doubles, in the order of code units.
 * @param reservationKey a gateway's own, of a client and an hour. A client that chose it would choose who is credited.
 * @returns undefined when there is none to be named.
 */
export function providerForManifest(
  { manifest, providers }: CreditedManifest,
  reservationKey: string,
  { overrides, kind = 'manifest', firstAnswered }: CreditOptions = {},
): string | undefined {
  const overridden = overrides?.find(manifest, kind);
  if (overridden !== undefined) return overridden;
  const ids = normalise(providers);
  if (ids.length === 0) return firstAnswered;
  const digest = portableBlake3.hash(utf8Encode(reservationKey));
  const hash = new DataView(digest.buffer, digest.byteOffset).getBigUint64(0, true);
  return ids[Number(hash % BigInt(ids.length))];
}

function normalise(providers: readonly string[]): string[] {
  const ids = providers.map((id) => id.trim()).filter((id) => id !== '');
  return [...new Set(ids)].sort();
}

const MAX_OVERRIDES = 100_000;
/** What a header and a receipt can name. */
const ID = /^[\x21-\x7e]{1,255}$/;

/** Says for single objects who is credited, whatever their manifests list. It takes effect with the next read. */
export class ProviderOverrides {
  readonly #providers = new Map<string, string>();

  /**
   * @param kind only for reads of this kind; default: all. The narrower goes first.
   * @throws HoldfastError `ConfigInvalid`, code `bad_option`: for an id that is not 1 to 255 visible characters of ASCII, or for too many.
   */
  set(manifest: string, provider: string, kind?: ReadKind): void {
    if (!ID.test(provider)) throw bad("a provider's id has 1 to 255 visible characters of ASCII");
    const key = keyOf(manifest, kind);
    if (this.#providers.size >= MAX_OVERRIDES && !this.#providers.has(key))
      throw bad(`there are at most ${MAX_OVERRIDES} overrides`);
    this.#providers.set(key, provider);
  }

  /** Takes one back; without arguments, all. @param kind as it was set. */
  clear(manifest?: string, kind?: ReadKind): void {
    if (manifest === undefined) this.#providers.clear();
    else this.#providers.delete(keyOf(manifest, kind));
  }

  find(manifest: string, kind: ReadKind): string | undefined {
    if (this.#providers.size === 0) return undefined;
    return this.#providers.get(keyOf(manifest, kind)) ?? this.#providers.get(keyOf(manifest, undefined));
  }
}

const keyOf = (manifest: string, kind: ReadKind | undefined): string => `${kind ?? ''} ${manifest}`;

const bad = (message: string): HoldfastError =>
  new HoldfastError('ConfigInvalid', message, { code: 'bad_option' });
