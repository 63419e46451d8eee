import { linkedAbort, throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type {
  AdapterCapabilities,
  BlobAdapter,
  BlobEntry,
  FetchStreamOptions,
  ListOptions,
  ProbeResult,
} from '../adapter.ts';
import { checkListing } from '../guard.ts';
import { teeStream } from './tee-stream.ts';

type Signal = AbortSignal | undefined;
export type Backends = readonly [BlobAdapter, ...BlobAdapter[]];

/**
 * Several adapters as one, each of which has everything. What is written has been taken by all of them; what is read
 * comes, unverified as ever, from the first that gives it. Slots are the first one's alone: two authorities could not
 * compare and swap.
 * @param backends in the order in which they are asked.
 */
export function mirrorOf(adapterId: string, backends: Backends): BlobAdapter {
  const [main] = backends;
  const anyOf = <T>(signal: Signal, ask: (each: BlobAdapter) => Promise<T>): Promise<T> =>
    firstOf(backends, signal, ask);
  return {
    adapterId,
    acceptedSchemes: main.acceptedSchemes,
    capabilities: capabilitiesOf(backends),
    async store(address, parts, options = {}) {
      const results = await everywhere(backends, options.signal, (each, signal) =>
        each.store(address, parts, { ...options, signal }),
      );
      return { existed: results.every(({ existed }) => existed) };
    },
    async storeStream(address, source, options = {}) {
      const copies = teeStream(source, backends.length);
      const results = await everywhere(backends, options.signal, (each, signal, i) =>
        each.storeStream(address, copies[i]!, { ...options, signal }).finally(copies[i]!.leave),
      );
      return { ...results[0]!, existed: results.every(({ existed }) => existed) };
    },
    fetch: (address, options) => anyOf(options?.signal, (each) => each.fetch(address, options)),
    fetchRange: (address, offset, into, options) =>
      anyOf(options?.signal, (each) => each.fetchRange(address, offset, into, options)),
    fetchStream: (address, options) => streamFromAny(backends, address, options),
    exists: (address, options) =>
      anyOf(options?.signal, async (each) => {
        if (await each.exists(address, options)) return true;
        throw new HoldfastError('NotFound', 'it is not there');
      }).catch((error: unknown) => {
        if (isHoldfastError(error, 'NotFound')) return false;
        throw error;
      }),
    async delete(address, { signal } = {}) {
      await everywhere(backends, signal, (each, stop) => each.delete(address, { signal: stop }));
    },
    stat: (address, options) => anyOf(options?.signal, (each) => each.stat(address, options)),
    list: (options) => mergeListings(backends, options),
    probe: ({ signal } = {}) => probeAll(backends, signal),
    readSlot: (name, options) => main.readSlot(name, options),
    writeSlot: (name, bytes, expected, options) => main.writeSlot(name, bytes, expected, options),
    deleteSlot: (name, options) => main.deleteSlot(name, options),
    listSlots: (options) => main.listSlots(options),
    async close() {
      await Promise.all(backends.map((each) => each.close()));
    },
  };
}

function capabilitiesOf(backends: Backends): AdapterCapabilities {
  const all = backends.map(({ capabilities }) => capabilities);
  return {
    supportsList: all.every(({ supportsList }) => supportsList),
    supportsSlots: all[0]!.supportsSlots,
    durable: all.every(({ durable }) => durable),
    replacesAtOnce: all.every(({ replacesAtOnce = true }) => replacesAtOnce),
    get maxBlobBytes() {
      return Math.min(...all.map(({ maxBlobBytes }) => maxBlobBytes));
    },
    get sureBlobBytes() {
      return Math.min(...all.map(({ maxBlobBytes, sureBlobBytes = maxBlobBytes }) => sureBlobBytes));
    },
  };
}

/** Asks one after the other until one answers. @throws HoldfastError `NotFound` only when none of them has it. */
async function firstOf<T>(
  backends: Backends,
  signal: Signal,
  ask: (each: BlobAdapter) => Promise<T>,
): Promise<T> {
  const failures: HoldfastError[] = [];
  for (const each of backends) {
    throwIfAborted(signal);
    try {
      return await ask(each);
    } catch (error) {
      failures.push(ofBackend(error, each));
    }
  }
  throwIfAborted(signal);
  throw worstOf(failures);
}

/** A blob's bytes from the first that gives them; where it fails in the middle, the next goes on. */
async function* streamFromAny(
  backends: Backends,
  address: BlobAddress,
  { offset = 0, length, signal }: FetchStreamOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  let sent = 0;
  const failures: HoldfastError[] = [];
  for (const each of backends) {
    throwIfAborted(signal, 'fetchStream');
    const rest = { offset: offset + sent, length: length === undefined ? undefined : length - sent, signal };
    try {
      for await (const piece of each.fetchStream(address, rest)) {
        sent += piece.length;
        yield piece;
      }
      return;
    } catch (error) {
      failures.push(ofBackend(error, each));
    }
  }
  throwIfAborted(signal, 'fetchStream');
  throw worstOf(failures);
}

function ofBackend(error: unknown, { adapterId: provider }: BlobAdapter): HoldfastError {
  const typed = asHoldfastError(error, { provider });
  return typed.provider === undefined ? typed.with({ provider }) : typed;
}

/** Of several failures to read the same thing: that one lacks it says nothing while another might have it. */
export const worstOf = (failures: readonly HoldfastError[]): HoldfastError =>
  failures.find((failure) => !isHoldfastError(failure, 'NotFound')) ?? failures[0]!;

/** Does it at all of them at once; when one fails the others are stopped, and nobody is still at work afterwards. */
async function everywhere<T>(
  backends: Backends,
  outer: Signal,
  act: (each: BlobAdapter, signal: AbortSignal, index: number) => Promise<T>,
): Promise<T[]> {
  const stop = linkedAbort(outer, 'mirror');
  const failures: HoldfastError[] = [];
  const work = backends.map((each, i) =>
    act(each, stop.signal, i).catch((error: unknown) => {
      const failure = ofBackend(error, each);
      failures.push(failure);
      stop.abort(failure);
      throw failure;
    }),
  );
  const results = await Promise.allSettled(work);
  stop.dispose();
  if (failures.length > 0) throw failures[0]!;
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

/** Space is what the fullest has. @throws HoldfastError code `backend_down` while others still answer. */
async function probeAll(backends: Backends, signal: Signal): Promise<ProbeResult> {
  const results = await Promise.allSettled(backends.map((each) => each.probe({ signal })));
  throwIfAborted(signal, 'probe');
  const answers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    const error = asHoldfastError(failed.reason);
    throw answers.length === 0 || isHoldfastError(error, 'QuotaExceeded')
      ? error
      : new HoldfastError(
          'Unavailable',
          'not all backends answer: what they have can be read, nothing written',
          {
            code: 'backend_down',
            cause: error,
          },
        );
  }
  const free = answers.flatMap(({ freeBytes }) => freeBytes ?? []);
  const rttMs = Math.max(...answers.map((answer) => answer.rttMs));
  return free.length === 0 ? { rttMs } : { rttMs, freeBytes: Math.min(...free) };
}

/**
 * What any of them has, each address once, as the one tells that wrote it last. All must answer: what only the silent one
 * has would be missing.
 */
async function* mergeListings(
  backends: readonly BlobAdapter[],
  options: ListOptions = {},
): AsyncGenerator<BlobEntry, void, undefined> {
  checkListing(options);
  const { limit, ...each } = options;
  const sources = backends.map((backend) => backend.list(each)[Symbol.asyncIterator]());
  try {
    const heads = await Promise.all(sources.map((source) => source.next()));
    for (let left = limit ?? Number.POSITIVE_INFINITY; left > 0; left--) {
      const entries = heads.flatMap(({ done, value }) => (done ? [] : [value]));
      const least = entries.reduce<BlobEntry | undefined>(youngerOfLeast, undefined);
      if (least === undefined) return;
      yield least;
      for (const [i, { value }] of heads.entries())
        if (value?.address === least.address) heads[i] = await sources[i]!.next();
    }
  } finally {
    await Promise.allSettled(sources.map((source) => source.return?.()));
  }
}

function youngerOfLeast(best: BlobEntry | undefined, entry: BlobEntry): BlobEntry {
  if (best === undefined || entry.address < best.address) return entry;
  if (entry.address > best.address) return best;
  return (entry.modifiedUnixMs ?? 0) > (best.modifiedUnixMs ?? 0) ? entry : best;
}
