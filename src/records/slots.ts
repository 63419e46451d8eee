import { type AbortOptions, abortable } from '../core/abort.ts';
import { concatBytes, fromHex, toHex, u64 } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import { LISTINGS } from '../core/straggler-policies.ts';
import { Stragglers } from '../core/stragglers.ts';
import { entriesFrom, writeInBatches } from '../engine/batches.ts';
import type { BatchOp, Table } from '../engine/engine.ts';
import { openPointer, type Pointer } from '../manifest/pointer.ts';
import type { BlobAdapter, Slot, SlotName } from '../providers/adapter.ts';
import type { Provider } from '../providers/provider.ts';
import type { RecordsContext } from './context.ts';

/** The slot's content; undefined where there is none, or a damaged one: that may be written over, and hides no other. */
export async function readIfIntact(
  adapter: BlobAdapter,
  slot: SlotName,
  options?: AbortOptions,
): Promise<Slot | undefined> {
  try {
    return await adapter.readSlot(slot, options);
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return undefined;
    throw error;
  }
}

const NAME_KEY_BYTES = 32;

/** Name key ‖ sealed pointer: whoever has the vault's key can open a slot without knowing the name. */
export const slotContent = (nameKey: string, sealed: Uint8Array): Uint8Array =>
  concatBytes(fromHex(nameKey), sealed);

export interface SlotPointer {
  readonly nameKey: string;
  readonly sealed: Uint8Array;
  readonly pointer: Pointer;
}

/** The pointer in a slot; undefined for another vault's, a damaged one, or one for another name than expected. */
export function readSlotContent(
  context: Pick<RecordsContext, 'keys'>,
  content: Uint8Array,
  expected?: string,
): SlotPointer | undefined {
  const nameKey = toHex(content.subarray(0, NAME_KEY_BYTES));
  const sealed = content.slice(NAME_KEY_BYTES);
  if (expected !== undefined && nameKey !== expected) return undefined;
  try {
    return { nameKey, sealed, pointer: openPointer(sealed, nameKey, context.keys.pointer) };
  } catch {
    return undefined;
  }
}

/** What the slots of one name hold, by what their providers say. */
export interface SlotAnswers {
  /** Those that hold a pointer of the name. */
  readonly held: ReadonlyMap<Provider, Pointer>;
  /** Providers that did not say. */
  readonly unconfirmed: readonly string[];
}

/** Asks all slots of a name at once; who does not answer while others do is not waited for. Never rejects. */
export async function askSlots(
  context: RecordsContext,
  name: string,
  operation: string,
  signal: AbortSignal | undefined,
): Promise<SlotAnswers> {
  const { clock, directory, keys } = context;
  const slot = keys.slotName(name);
  const nameKey = keys.nameKey(name);
  const held = new Map<Provider, Pointer>();
  const unconfirmed: string[] = [];
  const laggards = new Stragglers(clock, LISTINGS);
  const ask = async (provider: Provider): Promise<void> => {
    const { id, adapter } = provider;
    if (!directory.isResponsive(id)) return void unconfirmed.push(id);
    const turn = laggards.begin(signal, operation, () => directory.late(id));
    const started = clock.monotonic();
    try {
      const there = await abortable(readIfIntact(adapter, slot, { signal: turn.signal }), turn.signal);
      turn.progressed(clock.monotonic() - started);
      directory.heard(id);
      const found = there && readSlotContent(context, there.bytes, nameKey);
      if (found !== undefined) held.set(provider, found.pointer);
    } catch {
      unconfirmed.push(id);
    } finally {
      turn.end();
    }
  };
  try {
    await Promise.all(withSlots(directory.all()).map(ask));
  } finally {
    laggards.close();
  }
  return { held, unconfirmed };
}

export const withSlots = (providers: readonly Provider[]): Provider[] =>
  providers.filter(({ adapter }) => adapter.capabilities.supportsSlots);

/**
 * Slots that lag behind the engine, because their provider did not take the name's pointer when it changed:
 * `<provider>/<name key>` → the version it should have had. Until they are renewed, a recovery that hears of no other
 * provider would bring an older version back, or a name that was removed.
 */
export const DUE_TABLE = 'slots_due';

export const slotsDue = ({ engine }: RecordsContext): Table => engine.table(DUE_TABLE);

/** Says of slots that they lag behind a version; undefined: that they do no longer. */
export function dueEntries(
  providers: readonly string[],
  nameKey: string,
  version: number | undefined,
): BatchOp[] {
  const value = version === undefined ? undefined : u64(version);
  return [...new Set(providers)].map((provider) => ({
    table: DUE_TABLE,
    key: `${provider}/${nameKey}`,
    value,
  }));
}

/** Whether one of these lags behind. */
export async function isDue(
  context: RecordsContext,
  providers: readonly string[],
  nameKey: string,
): Promise<boolean> {
  const table = slotsDue(context);
  const due = await Promise.all(providers.map((provider) => table.get(`${provider}/${nameKey}`)));
  return due.some((value) => value !== undefined);
}

export async function queueSlots(
  { engine }: RecordsContext,
  providers: readonly string[],
  nameKey: string,
  version: number,
): Promise<void> {
  await writeInBatches(engine, dueEntries(providers, nameKey, version));
}

/** What no provider is called: under it stand the names themselves. */
const ANY = '*';

/** A name whose copies lie in too few failure domains. */
export interface NameDue {
  readonly nameKey: string;
  readonly domains: number;
  readonly entry: readonly [key: string, value: Uint8Array];
}

/** Remembers that a name's copies are to lie in so many failure domains, and do not: `*` in the place of a provider. */
export async function queueName(
  context: RecordsContext,
  nameKey: string,
  version: number,
  domains: number,
): Promise<void> {
  await slotsDue(context).put(`${ANY}/${nameKey}`, concatBytes(u64(version), u64(domains)));
}

/** The same, for who cannot tell the version, unless it is remembered already. */
export async function queueNameOnce(
  context: RecordsContext,
  nameKey: string,
  domains: number,
): Promise<void> {
  const value = concatBytes(u64(0), u64(domains));
  await slotsDue(context).compareAndSet(`${ANY}/${nameKey}`, undefined, value);
}

/** All of them, from a random one on. */
export async function* namesQueued(
  context: RecordsContext,
  onPoison: (key: string) => void,
  options: AbortOptions,
): AsyncGenerator<NameDue> {
  const from = toHex(context.random(1));
  for await (const entry of entriesFrom(slotsDue(context), `${ANY}/`, from, onPoison, options)) {
    const [key, value] = entry;
    const due = dueIn(key, value);
    if (due?.domains === undefined) onPoison(key);
    else yield { nameKey: due.nameKey, domains: due.domains, entry };
  }
}

/** What is due by an entry of the table; undefined for one that cannot be read. */
export function dueIn(
  key: string,
  value: Uint8Array,
):
  | { readonly provider: string; readonly nameKey: string; readonly domains?: undefined }
  | { readonly provider: undefined; readonly nameKey: string; readonly domains: number }
  | undefined {
  const slash = key.lastIndexOf('/');
  const [provider, nameKey] = [key.slice(0, slash), key.slice(slash + 1)];
  if (slash < 1 || !isNameKey(nameKey)) return undefined;
  if (provider !== ANY) return { provider, nameKey };
  if (value.length !== 16) return undefined;
  const domains = Number(new DataView(value.buffer, value.byteOffset).getBigUint64(8, true));
  return { provider: undefined, nameKey, domains };
}

export const isNameKey = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

/** Name keys that some provider of the configuration is still to be told of. */
export async function namesDue(context: RecordsContext, options: AbortOptions = {}): Promise<Set<string>> {
  const due = new Set<string>();
  const add = (key: string): void => {
    const slash = key.lastIndexOf('/');
    if (context.directory.get(key.slice(0, slash)) !== undefined) due.add(key.slice(slash + 1));
  };
  for await (const [key] of slotsDue(context).entries({ ...options, onDamaged: add })) add(key);
  return due;
}
