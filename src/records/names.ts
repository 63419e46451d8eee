import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { compareUtf8 } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import { openPointer, type Pointer, pointerHash, sealPointer } from '../manifest/pointer.ts';
import type { RecordsContext } from './context.ts';

/** Engine table of name pointers: opaque name key → sealed pointer. The authority for names. */
export const NAMES_TABLE = 'names';
export const MAX_NAME_BYTES = 1024;
const MAX_RACES = 64;

export interface NameChange {
  readonly pointer: Pointer;
  readonly sealed: Uint8Array;
  /** The pointer before, if the name stood for something. */
  readonly replaced: Pointer | undefined;
}

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

export async function readName(
  context: RecordsContext,
  name: string,
  options?: AbortOptions,
): Promise<Pointer | undefined> {
  const key = context.keys.nameKey(checkName(name));
  const sealed = await context.engine.table(NAMES_TABLE).get(key, options);
  return sealed === undefined ? undefined : openName(context, sealed, key);
}

function openName(context: RecordsContext, sealed: Uint8Array, key: string): Pointer {
  try {
    return openPointer(sealed, key, context.keys.pointer);
  } catch (cause) {
    if (!(cause instanceof HoldfastError) || cause.code !== 'authentication') throw cause;
    throw new HoldfastError('Corrupt', 'a name in the local state does not open with this key', {
      code: 'authentication',
      hint: 'Use the key file that the state was made with; or move the folder engine aside and run `holdfast recover`.',
      cause,
    });
  }
}

/** What a name is to stand for; a `manifest` of undefined removes it. */
export type NameTarget = Pick<Pointer, 'manifest' | 'size' | 'createdMs'>;

/**
 * Points a name at another manifest: the one atomic step that makes a put or a removal visible. Of two writers the
 * later one wins and sees the earlier in `replaced`. Durable when it resolves.
 */
export async function pointName(
  context: RecordsContext,
  name: string,
  target: NameTarget,
  options?: AbortOptions,
): Promise<NameChange> {
  return (await pointNameFrom(context, name, target, () => true, options))!;
}

/** The same, but only while `from` agrees to what the name stands for; undefined when it does not. */
export async function pointNameFrom(
  context: RecordsContext,
  name: string,
  target: NameTarget,
  from: (current: Pointer | undefined) => boolean,
  options?: AbortOptions,
): Promise<NameChange | undefined> {
  const key = context.keys.nameKey(checkName(name));
  const table = context.engine.table(NAMES_TABLE);
  for (let race = 0; race < MAX_RACES; race++) {
    const current = await table.get(key, options);
    const replaced = current === undefined ? undefined : openName(context, current, key);
    if (!from(replaced)) return undefined;
    const pointer: Pointer = {
      ...target,
      name,
      version: (replaced?.version ?? 0) + 1,
      previous: pointerHash(context.blake3, current),
    };
    const sealed = sealPointer(pointer, key, context.keys.pointer, context.random);
    if (await table.compareAndSet(key, current, sealed, { ...options, sync: true })) {
      return { pointer, sealed, replaced };
    }
  }
  throw new HoldfastError('Conflict', 'too many writers of the same name at once', {
    code: 'name_contended',
    status: 'temporary',
    hint: 'Nothing was changed; try again.',
  });
}

/** The pointer that the engine holds for a name now, as if it had just been set; undefined where it holds none. */
export async function currentChange(
  context: RecordsContext,
  nameKey: string,
  options?: AbortOptions,
): Promise<NameChange | undefined> {
  const sealed = await context.engine.table(NAMES_TABLE).get(nameKey, options);
  if (sealed === undefined) return undefined;
  return { pointer: openName(context, sealed, nameKey), sealed, replaced: undefined };
}

/**
 * Puts a pointer above another that this state did not know of: a higher version that names the other as the one
 * before. Undefined when it is no longer the current one: whoever replaced it sees to the rest.
 */
export async function supersede(
  context: RecordsContext,
  change: NameChange,
  rival: { readonly pointer: Pointer; readonly sealed: Uint8Array },
): Promise<NameChange | undefined> {
  const key = context.keys.nameKey(change.pointer.name);
  const version = Math.max(change.pointer.version, rival.pointer.version) + 1;
  const previous = pointerHash(context.blake3, rival.sealed);
  const pointer: Pointer = { ...change.pointer, version, previous };
  const sealed = sealPointer(pointer, key, context.keys.pointer, context.random);
  const table = context.engine.table(NAMES_TABLE);
  const done = await table.compareAndSet(key, change.sealed, sealed, { sync: true });
  return done ? { ...change, pointer, sealed } : undefined;
}

/** What a listing says of a name. */
export interface NamedObject {
  readonly name: string;
  /** Versions the name has had. */
  readonly version: number;
  readonly manifest: BlobAddress;
  readonly size: number;
  readonly createdMs: number;
}

/** Stands for all names that begin with it; it ends with the delimiter. */
export interface NamePrefix {
  readonly prefix: string;
}

export interface ListObjectsOptions extends AbortOptions {
  /** Only names that begin with it. */
  readonly prefix?: string | undefined;
  /** Names that have it after the prefix come as one {@link NamePrefix}, up to and with its first occurrence. */
  readonly delimiter?: string | undefined;
  /** Only what comes later in the order; a prefix that was listed stands for all names under it. */
  readonly after?: string | undefined;
  /** As many names and prefixes at the most. Default: all. */
  readonly limit?: number | undefined;
}

/**
 * Names that stand for something, in the order of their UTF-8 bytes, each once. Of names that are written or removed
 * meanwhile it may see either state. Costs what it returns: nothing is read of names before `after` or beside `prefix`,
 * nor of those under a prefix that is listed.
 */
export async function* listNames(
  context: RecordsContext,
  options: ListObjectsOptions = {},
): AsyncGenerator<NamedObject | NamePrefix> {
  const { prefix = '', delimiter, signal } = options;
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  const past = (text: string): string => text + LAST_CHARACTERS;
  const groupOf = (name: string): string | undefined => {
    const at = delimiter ? name.indexOf(delimiter, prefix.length) : -1;
    return at < 0 ? undefined : name.slice(0, at + delimiter!.length);
  };
  let after = options.after ?? '';
  if (after.startsWith(prefix) && groupOf(after) === after) after = past(after);
  while (left > 0) {
    const page = await namesAfter(context, { prefix, after, limit: Math.min(left, PAGE_NAMES), signal });
    for (const listed of page) {
      if (compareUtf8(listed.name, after) <= 0) continue;
      throwIfAborted(signal, 'list');
      const group = groupOf(listed.name);
      after = group === undefined ? listed.name : past(group);
      yield group === undefined ? listed : { prefix: group };
      left--;
    }
    if (page.length === 0) return;
  }
}

/** No name is longer, so none that begins with a text sorts after the text and these. */
const LAST_CHARACTERS = '\u{10ffff}'.repeat(MAX_NAME_BYTES / 4);
const PAGE_NAMES = 256;

/** The first names after one, in order. */
async function namesAfter(
  context: RecordsContext,
  { prefix, after, limit, signal }: { prefix: string; after: string; limit: number } & AbortOptions,
): Promise<NamedObject[]> {
  let found: NamedObject[] = [];
  const keepFirst = (): void => {
    found = found.sort((a, b) => compareUtf8(a.name, b.name)).slice(0, limit);
  };
  for await (const [key, sealed] of context.engine.table(NAMES_TABLE).entries({ signal })) {
    const { name, version, manifest, size, createdMs } = openName(context, sealed, key);
    if (manifest === undefined || !name.startsWith(prefix) || compareUtf8(name, after) <= 0) continue;
    found.push({ name, version, manifest, size, createdMs });
    if (found.length >= 2 * limit) keepFirst();
  }
  keepFirst();
  return found;
}

/** The manifest a reference stands for: an address, or a name. @throws HoldfastError `NotFound`. */
export async function resolveReference(
  context: RecordsContext,
  reference: string,
  options?: AbortOptions,
): Promise<{ readonly manifest: BlobAddress; readonly pointer: Pointer | undefined }> {
  if (reference.startsWith('b3:')) {
    if (!isBlobAddress(reference)) {
      throw new HoldfastError('ConfigInvalid', `"${reference}" is not the address of a manifest`, {
        code: 'bad_reference',
        hint: 'An address is b3: and 64 lower-case hex digits; see `holdfast manifests`.',
      });
    }
    return { manifest: reference, pointer: undefined };
  }
  const pointer = await readName(context, reference, options);
  if (pointer?.manifest === undefined) {
    throw new HoldfastError('NotFound', `there is no object named "${reference}"`, {
      code: 'name_not_found',
      hint: 'See `holdfast ls` for the names in this vault.',
    });
  }
  return { manifest: pointer.manifest, pointer };
}
