import type { Config } from '../../config/types.ts';
import { accelerationFrom } from '../../core/acceleration.ts';
import { addressOf } from '../../core/address.ts';
import { selectBlake3 } from '../../core/b3/select.ts';
import { equalBytes, toHex } from '../../core/bytes.ts';
import { systemClock as clock, timeoutSignal, withDeadline } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { secureRandom as random } from '../../core/random.ts';
import type { BlobAdapter } from '../../providers/adapter.ts';
import { buildProviders } from '../../vault/assemble.ts';
import type { Io } from '../io.ts';

/** What a trial showed, in milliseconds. */
export interface Trial {
  readonly probeMs: number;
  readonly writeMs: number;
  readonly readMs: number;
  readonly deleteMs: number;
  /** Whether it keeps pointers of names. */
  readonly slots: boolean;
  /** As the provider states them, if it does. */
  readonly freeBytes: number | undefined;
  readonly clockUnixMs: number | undefined;
}

export interface TrialOptions {
  readonly deadlineMs?: number | undefined;
  /** False: it is only asked. Default true. */
  readonly writes?: boolean | undefined;
}

const CLEAN_UP_MS = 5_000;
const TRIAL_MS = 90_000;
const TRIAL_BYTES = 4096;

/** Asks the provider, writes a blob and a slot, reads and deletes them, through all layers that it will have. */
export async function tryProvider(
  config: Config,
  id: string,
  io: Io,
  { deadlineMs = TRIAL_MS, writes = true }: TrialOptions = {},
): Promise<Trial> {
  const blake3 = await selectBlake3(accelerationFrom(io.env));
  const one = { ...config, providers: config.providers.filter((provider) => provider.id === id) };
  const deps = { clock, random, blake3, env: io.env, onAttempt() {}, log() {} };
  const [provider] = await buildProviders(one, deps);
  const bytes = random(TRIAL_BYTES);
  const address = addressOf(blake3.hash(bytes));
  const work = async (signal: AbortSignal): Promise<Trial> => {
    const { adapter } = provider!;
    const { rttMs, freeBytes, clockUnixMs } = await adapter.probe({ signal });
    const answered = { probeMs: rttMs, slots: adapter.capabilities.supportsSlots, freeBytes, clockUnixMs };
    if (!writes) return { ...answered, writeMs: 0, readMs: 0, deleteMs: 0 };
    const writeMs = await timed(() => adapter.store(address, [bytes], { signal }));
    const readMs = await timed(async () => {
      if (!equalBytes(await adapter.fetch(address, { signal }), bytes)) throw otherBytes(id);
    });
    if (answered.slots) await trySlot(adapter, signal);
    const deleteMs = await timed(() => adapter.delete(address, { signal }));
    return { ...answered, writeMs, readMs, deleteMs };
  };
  try {
    return await withDeadline(clock, deadlineMs, 'the trial', work, io.signal).catch(
      async (error: unknown) => {
        const options = { signal: timeoutSignal(clock, CLEAN_UP_MS) };
        if (writes) await provider!.adapter.delete(address, options).catch(() => {});
        throw error;
      },
    );
  } finally {
    await withDeadline(clock, CLEAN_UP_MS, 'closing it', () => provider!.adapter.close()).catch(() => {});
  }
}

async function trySlot(adapter: BlobAdapter, signal: AbortSignal): Promise<void> {
  const [name, content] = [toHex(random(16)), random(32)];
  await adapter.writeSlot(name, content, undefined, { signal });
  const slot = await adapter.readSlot(name, { signal });
  await adapter.deleteSlot(name, { forget: true, signal });
  if (slot === undefined || !equalBytes(slot.bytes, content)) throw otherBytes(adapter.adapterId);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = clock.monotonic();
  await work();
  return clock.monotonic() - started;
}

function otherBytes(provider: string): HoldfastError {
  return new HoldfastError('HashMismatch', 'it gave back other bytes than were written', {
    code: 'trial_failed',
    provider,
    hint: 'Do not use it.',
  });
}
