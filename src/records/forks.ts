import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { recordedTime } from '../core/clock.ts';
import { isHoldfastError } from '../core/errors.ts';
import { type Pointer, relationOf, type SealedPointer } from '../manifest/pointer.ts';
import { DamageLog } from '../object/damage.ts';
import { fetchNode } from '../object/fetch-node.ts';
import { isTrashed } from './claims.ts';
import type { RecordsContext, RetiredVersion, WithRetention } from './context.ts';
import { MAX_NAME_BYTES } from './name-record.ts';
import { type NameChange, pointName, readName } from './names.ts';
import { isRetired } from './retired.ts';

/** A version of a name, at the providers, that this state did not know of and that none it knows follows from. */
export interface Fork {
  readonly name: string;
  readonly version: number;
  /** Undefined: there the name had been removed. */
  readonly manifest: BlobAddress | undefined;
  /** The name that its content has from now on; undefined where there is none, or that name was removed since. */
  readonly keptAs: string | undefined;
}

/**
 * `fork`: the version holds content that would be lost with it, which `now` neither stands for nor is shown to follow. Of
 * what lies further back than can be shown, content that this state deleted, or that nobody has, is `none`, and it is
 * `undecided` while a provider does not say.
 */
export async function judgeRival(
  context: RecordsContext,
  rival: SealedPointer,
  now: SealedPointer,
  { signal }: AbortOptions = {},
): Promise<'fork' | 'none' | 'undecided'> {
  const { manifest, previous } = rival.pointer;
  if (manifest === undefined || manifest === now.pointer.manifest) return 'none';
  const relation = relationOf(context.blake3, now.pointer, rival);
  if (relation !== 'unknown') return relation === 'fork' ? 'fork' : 'none';
  // Format 1 names one ancestor only: nothing can be told of what lies further back.
  if (previous !== undefined || (await isTrashed(context, manifest))) return 'none';
  // Named now, it would be deleted all the same.
  if (await isRetired(context, manifest, { signal })) return 'none';
  try {
    await fetchNode(context, manifest, new DamageLog(), signal);
    return 'fork';
  } catch (error) {
    throwIfAborted(signal, 'looking for the content of a fork');
    // Only what everybody says not to have is gone.
    if (isHoldfastError(error, 'NotFound')) return 'none';
    return isHoldfastError(error, 'Corrupt') ? 'fork' : 'undecided';
  }
}

export interface KeptFork {
  readonly fork: Fork;
  /** Set when the name was made just now, and is still to be backed up. */
  readonly change: NameChange | undefined;
}

/**
 * Gives the content of a fork a name of its own, so that whatever becomes of the name it had, nobody's acknowledged
 * object is out of reach. The same fork always gets the same name, and not again once that was removed.
 */
export async function keepFork(context: RecordsContext, pointer: Pointer): Promise<KeptFork> {
  const { name, version, manifest, size, createdMs } = pointer;
  const of = { name, version, manifest };
  if (manifest === undefined) return { fork: { ...of, keptAs: undefined }, change: undefined };
  const keptAs = nameOfFork(name, manifest);
  const known = await readName(context, keptAs);
  if (known !== undefined) {
    return { fork: { ...of, keptAs: known.manifest && keptAs }, change: undefined };
  }
  const change = await pointName(context, keptAs, { manifest, size, createdMs });
  return { fork: { ...of, keptAs }, change };
}

/** As many digits as tell forks of one name apart. */
const DIGITS = 12;

const suffixOf = (manifest: BlobAddress): string => ` (fork ${manifest.slice(-DIGITS)})`;

/** What {@link keepFork} calls the content of a fork. */
export function nameOfFork(name: string, manifest: BlobAddress): string {
  const suffix = suffixOf(manifest);
  const letters = [...name];
  const bytes = (): number => Buffer.byteLength(letters.join('')) + suffix.length;
  while (bytes() > MAX_NAME_BYTES) letters.pop();
  return letters.join('') + suffix;
}

/** Whether a name is one that {@link keepFork} gave to a manifest. */
export function isForkName(name: string, manifest: BlobAddress): boolean {
  const suffix = suffixOf(manifest);
  return name.endsWith(suffix) && name !== suffix;
}

/** Whether a manifest is what a name stands for, or a name that a fork made of it. */
export async function isNamed(
  context: RecordsContext,
  name: string,
  manifest: BlobAddress,
): Promise<boolean> {
  const current = await readName(context, name);
  return current?.manifest === manifest || hasOtherName(context, name, manifest);
}

/** Whether a manifest has another name than this one: that of the fork that it was, or the one that it forked from. */
export async function hasOtherName(
  context: RecordsContext,
  name: string,
  manifest: BlobAddress,
): Promise<boolean> {
  const others = [nameOfFork(name, manifest)];
  if (isForkName(name, manifest)) others.push(name.slice(0, -suffixOf(manifest).length));
  const pointers = await Promise.all(others.map((other) => readName(context, other)));
  return pointers.some((pointer) => pointer?.manifest === manifest);
}

/** What a name stood for, as a put retires that took its place; undefined where another name leads there too. */
export async function replacedVersion(
  context: RecordsContext & WithRetention,
  name: string,
  before: BlobAddress | undefined,
  journal: string,
): Promise<RetiredVersion | undefined> {
  const { clock, keys, retention } = context;
  if (before === undefined || (await hasOtherName(context, name, before))) return undefined;
  const sinceMs = recordedTime(clock);
  const times = { sinceMs, dueMs: sinceMs + retention.replacedMs, attempts: 0 };
  return { manifest: before, why: 'replaced', nameKey: keys.nameKey(name), ...times, journal };
}
