import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import type { Pointer } from '../manifest/pointer.ts';
import type { RecordsContext } from './context.ts';
import { readName } from './names.ts';
import { askSlots } from './slots.ts';

/** What a read fails with when the blobs of a version are gone, or seem to be. */
const GONE = ['NotFound', 'Unavailable', 'Corrupt'] as const;

/**
 * A better reason why an object cannot be read, where there is one: its name was given to another version meanwhile, or
 * has a newer one at the providers than in this state, as after a backup of the state was restored. Then no provider that
 * comes back would help.
 */
export async function whyUnreadable(
  context: RecordsContext,
  pointer: Pointer,
  error: unknown,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  if (signal?.aborted || !GONE.some((kind) => isHoldfastError(error, kind))) return error;
  if (await wasReplaced(context, pointer, error, signal)) return replaced(pointer, error);
  return (await behind(context, pointer, signal, error)) ?? error;
}

/** Whether the name no longer stands for a version that could not be read: then its blobs may just have been deleted. */
export async function wasReplaced(
  context: RecordsContext,
  { name, manifest }: Pointer,
  error: unknown,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (signal?.aborted || !GONE.some((kind) => isHoldfastError(error, kind))) return false;
  return (await readName(context, name, { signal }))?.manifest !== manifest;
}

function replaced({ name, version }: Pointer, cause: unknown): HoldfastError {
  return new HoldfastError(
    'Unavailable',
    `version ${version} of "${name}" was replaced or removed while it was read`,
    {
      code: 'version_replaced',
      hint: 'Read it again. What is replaced stays for retention.replaced_seconds: raise it for reads that take longer.',
      context: { version },
      cause,
    },
  );
}

/** For what cannot be read as it stands. @throws HoldfastError `Unavailable`, code `state_behind`, if that is why. */
export async function refuseIfBehind(
  context: RecordsContext,
  pointer: Pointer,
  signal: AbortSignal | undefined,
): Promise<void> {
  const reason = await behind(context, pointer, signal);
  if (reason !== undefined) throw reason;
}

async function behind(
  context: RecordsContext,
  pointer: Pointer,
  signal: AbortSignal | undefined,
  cause?: unknown,
): Promise<HoldfastError | undefined> {
  const newest = await newestVersion(context, pointer.name, signal);
  if (newest <= pointer.version) return undefined;
  const message = `this state knows version ${pointer.version} of "${pointer.name}", the providers have version ${newest}`;
  return new HoldfastError('Unavailable', message, {
    code: 'state_behind',
    status: 'permanent',
    hint: 'The state is older than the objects, as after a restored backup: run `holdfast recover`, then try again.',
    context: { known: pointer.version, newest },
    cause,
  });
}

/** The highest version that a provider holds, of those that answer; 0 where none does. */
async function newestVersion(
  context: RecordsContext,
  name: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { held } = await askSlots(context, name, 'get', signal);
  return Math.max(0, ...[...held.values()].map(({ version }) => version));
}
