import type { AbortOptions } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { fromHex } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import type { BatchOp } from '../engine/engine.ts';
import { ancestorsFrom, type Pointer, sealPointer } from '../manifest/pointer.ts';
import type { RecordsContext } from './context.ts';
import { engineGenerationOf } from './generation-record.ts';
import type { Fence } from './journal.ts';
import { nameIndexOf } from './name-index.ts';
import { listedAs } from './name-page.ts';
import { checkName, NAMES_TABLE, openName } from './name-record.ts';

const MAX_RACES = 64;

export interface NameChange {
  readonly pointer: Pointer;
  readonly sealed: Uint8Array;
  /** The pointer before, if the name stood for something. */
  readonly replaced: Pointer | undefined;
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

/** What a name is to stand for; a `manifest` of undefined removes it. */
export type NameTarget = Pick<Pointer, 'manifest' | 'size' | 'createdMs'>;

export interface PointOptions extends AbortOptions {
  /** What is written in the same step. */
  readonly also?: ((change: NameChange) => Promise<readonly BatchOp[]>) | undefined;
  /** What must hold in that step. */
  readonly fence?: Fence | undefined;
}

/**
 * Points a name at another manifest: the one atomic step that makes a put or a removal visible. Of two writers the
 * later one wins and sees the earlier in `replaced`. Durable when it resolves.
 */
export async function pointName(
  context: RecordsContext,
  name: string,
  target: NameTarget,
  options?: PointOptions,
): Promise<NameChange> {
  return (await pointNameFrom(context, name, target, () => true, options))!;
}

/** The same, but only while `from` agrees to what the name stands for; undefined when it does not. */
export async function pointNameFrom(
  context: RecordsContext,
  name: string,
  target: NameTarget,
  from: (current: Pointer | undefined) => boolean,
  options: PointOptions = {},
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
      writer: await writerOf(context),
      ancestors: ancestorsFrom(context.blake3, replaced === undefined ? [] : [replaced]),
    };
    const sealed = sealPointer(pointer, key, context.keys.pointer, context.random);
    const change = { pointer, sealed, replaced };
    if (await setPointer(context, change, current, options)) return change;
    await options.fence?.assertHeld();
  }
  throw new HoldfastError('Conflict', 'too many writers of the same name at once', {
    code: 'name_contended',
    status: 'temporary',
    hint: 'Nothing was changed; try again.',
  });
}

export const nameChanged = (name: string): HoldfastError =>
  new HoldfastError('Conflict', `"${name}" stands for another version by now, which stays`, {
    code: 'name_changed',
  });

/** Which line of writing the pointers written now belong to. */
const writerOf = async ({ engine, random }: RecordsContext): Promise<Uint8Array> =>
  fromHex(await engineGenerationOf(engine).writer(random));

/**
 * Sets a name's pointer, and its place in the ordered index with it, if the engine holds `expected`; `any`: whatever it
 * holds, damaged too. Durable when it resolves.
 * @returns false when it held something else; nothing is changed then.
 */
export async function setPointer(
  context: RecordsContext,
  change: NameChange,
  expected: Uint8Array | undefined | 'any',
  { also, fence, signal }: PointOptions = {},
): Promise<boolean> {
  const { pointer, sealed } = change;
  const nameKey = context.keys.nameKey(pointer.name);
  const ops = [{ table: NAMES_TABLE, key: nameKey, value: sealed }, ...((await also?.(change)) ?? [])];
  const conditions = fence?.conditions;
  const write = { conditions, nameKey, expected, name: pointer.name, listed: listedAs(pointer), ops };
  return nameIndexOf(context).writeOne(write, { signal });
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
 * Puts a pointer above others that this state did not know of: a higher version that names all of them as its ancestors.
 * Undefined when it is no longer the current one: whoever replaced it sees to the rest.
 */
export async function supersede(
  context: RecordsContext,
  change: NameChange,
  rivals: readonly Pointer[],
): Promise<NameChange | undefined> {
  const key = context.keys.nameKey(change.pointer.name);
  const parents = [change.pointer, ...rivals];
  const pointer: Pointer = {
    ...change.pointer,
    version: Math.max(...parents.map(({ version }) => version)) + 1,
    writer: await writerOf(context),
    ancestors: ancestorsFrom(context.blake3, parents),
    previous: undefined,
  };
  const sealed = sealPointer(pointer, key, context.keys.pointer, context.random);
  const next = { ...change, pointer, sealed };
  return (await setPointer(context, next, change.sealed)) ? next : undefined;
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
