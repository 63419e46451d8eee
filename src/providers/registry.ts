import { B3_SCHEME } from '../core/address.ts';
import { HoldfastError } from '../core/errors.ts';
import type { BlobAdapter } from './adapter.ts';
import type { AdapterKind, EntryOf, OpenDeps } from './kind.ts';
import * as builtIn from './kinds.ts';

/** The kinds of providers that a configuration may name. */
export interface AdapterKinds {
  readonly names: readonly string[];
  readonly all: readonly AdapterKind[];
  get(name: string): AdapterKind | undefined;
}

/** An entry of one of the kinds that come with Holdfast, without what entries of all kinds take. */
export type AdapterEntry = EntryOf<(typeof builtIn)[keyof typeof builtIn]>;

/** An entry of any kind, as far as every kind has it. */
export interface AnyEntry {
  readonly id: string;
  readonly adapter: string;
}

/** Keys of `[[providers]]` that are not of the adapter. In camelCase. */
export const COMMON_KEYS: readonly string[] = [
  'id',
  'adapter',
  'domain',
  'credits',
  'price',
  'maxConcurrency',
  'upBytesPerSecond',
  'downBytesPerSecond',
];

const NAME = /^[a-z][a-z0-9-]{0,31}$/;
const KEY = /^[a-z][A-Za-z0-9]{0,63}$/;

/** Those that come with Holdfast, and the ones given. @throws HoldfastError `ConfigInvalid` (`bad_option`). */
export function adapterKinds(more: readonly AdapterKind[] = []): AdapterKinds {
  const kinds = new Map<string, AdapterKind>();
  for (const kind of [...(Object.values(builtIn) as readonly AdapterKind[]), ...more]) {
    const name = checkKind(kind);
    if (kinds.has(name)) throw badKind(`there are two kinds of adapters called "${name}"`);
    kinds.set(name, kind);
  }
  return { names: [...kinds.keys()], all: [...kinds.values()], get: (name) => kinds.get(name) };
}

export const BUILT_IN: AdapterKinds = adapterKinds();

/** @returns its name. */
function checkKind(kind: Partial<AdapterKind> | undefined): string {
  const { name, keys, open } = kind ?? {};
  if (typeof name !== 'string' || !NAME.test(name))
    throw badKind('an adapter kind has no name, or a bad one');
  if (typeof open !== 'function' || typeof keys !== 'object' || keys === null)
    throw badKind(`the adapter kind "${name}" lacks keys or open`);
  const taken = Object.keys(keys).find((key) => !KEY.test(key) || COMMON_KEYS.includes(key));
  if (taken !== undefined) throw badKind(`the adapter kind "${name}" cannot have a key "${taken}"`);
  return name;
}

/**
 * The bare adapter of an entry.
 * @throws HoldfastError `ConfigInvalid` (`unknown_kind`) for a kind that is not there; `UnsupportedScheme` for an adapter
 * that does not take the addresses in use.
 */
export async function openAdapter(
  entry: ({ readonly id: string } & AdapterEntry) | AnyEntry,
  deps: OpenDeps,
  kinds: AdapterKinds = BUILT_IN,
): Promise<BlobAdapter> {
  const kind = kinds.get(entry.adapter);
  if (kind === undefined) {
    throw new HoldfastError('ConfigInvalid', `there is no kind of adapter "${entry.adapter}"`, {
      code: 'unknown_kind',
      provider: entry.id,
      hint: `There are ${kinds.names.join(', ')}.`,
    });
  }
  const given: Readonly<Record<string, unknown>> = { ...entry };
  const options = Object.entries(kind.keys).map(([key, { default: usual }]) => [key, given[key] ?? usual]);
  const opened = await kind.open({ ...Object.fromEntries(options), id: entry.id }, deps);
  if (opened.acceptedSchemes.includes(B3_SCHEME)) return opened;
  await opened.close();
  throw new HoldfastError(
    'UnsupportedScheme',
    `provider "${entry.id}" takes no addresses of scheme "${B3_SCHEME}", only ${opened.acceptedSchemes.join(', ')}`,
    { provider: entry.id, context: { accepted: opened.acceptedSchemes } },
  );
}

function badKind(message: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', message, {
    code: 'bad_option',
    hint: 'See "Write an adapter" in the documents.',
  });
}
