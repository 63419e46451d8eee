import type { Field } from '../core/fields.ts';
import type { BlobAdapter } from './adapter.ts';
import type { CredentialDeps } from './credentials.ts';
import type { AdapterDeps } from './driver.ts';
import type { Setup } from './setup.ts';

/**
 * One kind of provider: what `adapter = "…"` may name. The configuration, its checks, `holdfast providers add` and the
 * table in docs/providers.md follow from it.
 */
export interface AdapterKind<
  Name extends string = string,
  Options extends object = Readonly<Record<string, unknown>>,
> {
  /** a-z, 0-9 and "-", beginning with a letter. */
  readonly name: Name;
  /** The keys of `[[providers]]` that only this kind takes. `pathStyle` stands in a file as `path_style`. */
  readonly keys: KeysOf<Options>;
  /**
   * Makes the bare adapter; the layers for deadlines, retries and the like come above it. Nothing is sent yet. What only this
   * kind needs is imported here and not before: most commands use few kinds.
   * @param options keys that were left out have their defaults.
   */
  open(options: OptionsOf<Options>, deps: OpenDeps): Promise<BlobAdapter>;
  /** What the keys may say alone but not together. */
  check?(options: OptionsOf<Options>, refuse: Refuse): void;
  /** Ways to add one with `holdfast providers add`. */
  readonly setups?: readonly Setup[];
}

export type KeysOf<Options> = {
  readonly [K in keyof Options]-?: AdapterKey<Exclude<Options[K], undefined>>;
};

/** What {@link AdapterKind.open} is given. */
export type OptionsOf<Options> = Options & { readonly id: string };

/** An entry of `[[providers]]` for a kind, without what entries of all kinds take. */
export type EntryOf<Kind> =
  Kind extends AdapterKind<infer Name, infer Options> ? { readonly adapter: Name } & Options : never;

export interface OpenDeps extends AdapterDeps, CredentialDeps {}

/** @param key named as in {@link AdapterKind.keys}. @param allowed what would have been accepted. */
export type Refuse = (key: string, problem: string, allowed: string) => void;

export interface AdapterKey<T = unknown> {
  readonly field: Field<T>;
  readonly required: boolean;
  /** Taken where the key is left out; undefined: nothing is. */
  readonly default: T | undefined;
  /** One line for the reference. */
  readonly help: string;
  /** No two providers may say the same: they would be one provider, and counted as two. */
  readonly distinct?: boolean;
  /** The value with the paths in it made absolute. @param place makes one so. */
  fromHome?(value: T, place: (path: string) => string): T;
}

export const required = <T>(
  field: Field<T>,
  help: string,
  extras: Pick<AdapterKey<T>, 'distinct' | 'fromHome'> = {},
): AdapterKey<T> => ({
  field,
  required: true,
  default: undefined,
  help,
  ...extras,
});

/** @param fallback taken where the key is left out. */
export const optional = <T>(
  field: Field<T>,
  help: string,
  fallback?: T,
  extras: Pick<AdapterKey<T>, 'distinct' | 'fromHome'> = {},
): AdapterKey<T> => ({ field, required: false, default: fallback, help, ...extras });
