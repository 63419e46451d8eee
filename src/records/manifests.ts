import type { AbortOptions } from '../core/abort.ts';
import { addressOf, type BlobAddress, parseAddress } from '../core/address.ts';
import { utf8Decode, utf8Encode } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import { decodeRoot, type OpenRoot, openRoot, type RootRecord } from '../manifest/root.ts';
import type { DamageLog } from '../object/damage.ts';
import { fetchNode } from '../object/fetch-node.ts';
import type { RecordsContext } from './context.ts';

/** Roots this vault has put or recovered: address → block. Whole objects are found without asking a provider. */
const ROOTS_TABLE = 'manifests';
/** `<stored ms, 14 digits>/<address>` → nothing: the order of `holdfast manifests`. */
const ORDER_TABLE = 'manifest_order';

/** Address → stored ms: leads from a root to its place in the order. */
const TIMES_TABLE = 'manifest_times';

/** Address → JSON of the bytes that the object's shards take up at each provider. */
export const USAGE_TABLE = 'manifest_usage';

const orderKey = (storedMs: number, address: BlobAddress): string =>
  `${String(storedMs).padStart(14, '0')}/${address}`;

export async function rememberRoot(
  context: RecordsContext,
  root: Uint8Array,
  storedMs: number,
  options?: AbortOptions,
): Promise<BlobAddress> {
  const address = addressOf(context.blake3.hash(root));
  await context.engine.table(ROOTS_TABLE).put(address, root, { ...options, sync: true });
  await context.engine.table(TIMES_TABLE).put(address, utf8Encode(String(storedMs)), options ?? {});
  await context.engine.table(ORDER_TABLE).put(orderKey(storedMs, address), new Uint8Array(0), options ?? {});
  return address;
}

export async function forgetRoot(
  context: RecordsContext,
  address: BlobAddress,
  options?: AbortOptions,
): Promise<void> {
  const times = context.engine.table(TIMES_TABLE);
  const storedMs = await times.get(address, options);
  await context.engine.table(ROOTS_TABLE).delete(address, options ?? {});
  await context.engine.table(USAGE_TABLE).delete(address, options ?? {});
  if (storedMs === undefined) return;
  await context.engine
    .table(ORDER_TABLE)
    .delete(orderKey(Number(utf8Decode(storedMs)), address), options ?? {});
  await times.delete(address, options ?? {});
}

/** A root block by address: from the engine, else from the providers. @throws HoldfastError `NotFound`. */
export async function loadRoot(
  context: RecordsContext,
  address: BlobAddress,
  damage: DamageLog,
  options: AbortOptions = {},
): Promise<Uint8Array> {
  return (await localRoot(context, address, options)) ?? fetchNode(context, address, damage, options.signal);
}

/** A root block from the engine; undefined for a damaged one too, for it is only a copy. */
export async function localRoot(
  context: RecordsContext,
  address: BlobAddress,
  options: AbortOptions = {},
): Promise<Uint8Array | undefined> {
  const local = await context.engine
    .table(ROOTS_TABLE)
    .get(address, options)
    .catch((error: unknown) => {
      if (isHoldfastError(error, 'Corrupt')) return undefined;
      throw error;
    });
  return local !== undefined && addressOf(context.blake3.hash(local)) === address ? local : undefined;
}

export async function openManifest(
  context: RecordsContext,
  address: BlobAddress,
  damage: DamageLog,
  options: AbortOptions = {},
): Promise<OpenRoot> {
  return openRoot(await loadRoot(context, address, damage, options), context.keys.wrap);
}

export interface ManifestEntry {
  readonly address: BlobAddress;
  readonly storedMs: number;
  readonly root: RootRecord;
}

/** Manifests of this vault, newest first. */
export async function* listManifests(
  context: RecordsContext,
  options: AbortOptions & { readonly limit?: number | undefined } = {},
): AsyncIterable<ManifestEntry> {
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  for await (const [key] of context.engine
    .table(ORDER_TABLE)
    .entries({ reverse: true, signal: options.signal })) {
    if (left-- <= 0) return;
    const [storedMs, text] = key.split('/') as [string, string];
    const address = parseAddress(text);
    const block = await context.engine.table(ROOTS_TABLE).get(address, { signal: options.signal });
    if (block === undefined) continue;
    yield { address, storedMs: Number(storedMs), root: decodeRoot(block) };
  }
}

/** Addresses of all manifests of this vault. */
export async function* manifestAddresses(
  context: RecordsContext,
  options: AbortOptions,
): AsyncGenerator<BlobAddress> {
  for await (const [key] of context.engine.table(ORDER_TABLE).entries(options)) {
    yield parseAddress(key.slice(key.indexOf('/') + 1));
  }
}

/** Whether an address is one of this vault's manifests, without decoding it. */
export async function knowsManifest(context: RecordsContext, address: BlobAddress): Promise<boolean> {
  try {
    return (await context.engine.table(ROOTS_TABLE).get(address)) !== undefined;
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return false;
    throw error;
  }
}
