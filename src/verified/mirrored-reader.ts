import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import type { Clock } from '../core/clock.ts';
import { asHoldfastError, type ErrorKind, type HoldfastError } from '../core/errors.ts';
import type { ByteRange } from '../http/selection.ts';
import type { BlobAdapter } from '../providers/adapter.ts';
import { worstOf } from '../providers/layers/mirror.ts';
import type { ServiceCache } from '../telemetry/index.ts';
import { createHedgedRead, type HedgedRead } from './hedged-read.ts';
import {
  createVerifiedReader,
  type VerifiedBlob,
  type VerifiedReader,
  type VerifiedReaderOptions,
} from './reader.ts';

/** A place that has every blob, and the reader of it. */
interface MirrorBackend {
  readonly adapter: BlobAdapter;
  readonly reader: VerifiedReader;
}

interface Opened {
  readonly backend: MirrorBackend;
  readonly blob: VerifiedBlob;
}

interface Started extends Opened {
  readonly pieces: AsyncIterator<Uint8Array>;
  readonly first: IteratorResult<Uint8Array>;
}

/** Makes one reader of several backends. They share the memory that one reader would have. */
export function mirrorReaders(
  adapters: readonly BlobAdapter[],
  options: Omit<VerifiedReaderOptions, 'adapter' | 'peekStat'> & {
    readonly clock: Clock;
    /** See `createHedgedRead`. */
    readonly hedgeAfterMs?: number | undefined;
  },
): VerifiedReader {
  const { hot, proofBytes, metrics, blake3, clock, hedgeAfterMs } = options;
  const share = (bytes: number): number => Math.floor(bytes / adapters.length);
  const used = adapters.map(() => 0);
  const backends = adapters.map((adapter, i) => {
    const cacheBytes = (which: ServiceCache, bytes: number): void => {
      used[i] = bytes;
      metrics.cacheBytes(
        which,
        used.reduce((sum, each) => sum + each, 0),
      );
    };
    const reader = createVerifiedReader({
      adapter,
      blake3,
      metrics: { ...metrics, cacheBytes },
      hot: { ...hot, maxBytes: share(hot.maxBytes) },
      proofBytes: share(proofBytes),
    });
    return { adapter, reader };
  });
  return new MirroredReader(backends, clock, hedgeAfterMs);
}

/**
 * Reads from the first of several backends. Reads from the next too when the first has failed, has other bytes than the
 * address says, or is slower than 95 of 100 recent reads were. Each backend verifies by itself, so any winner is right.
 */
class MirroredReader implements VerifiedReader {
  readonly #backends: readonly MirrorBackend[];
  readonly #opening: HedgedRead;
  readonly #reading: HedgedRead;

  constructor(backends: readonly MirrorBackend[], clock: Clock, hedgeAfterMs: number | undefined) {
    this.#backends = backends;
    this.#opening = createHedgedRead(clock, hedgeAfterMs);
    this.#reading = createHedgedRead(clock, hedgeAfterMs);
  }

  async open(address: BlobAddress, options?: AbortOptions): Promise<VerifiedBlob> {
    const attempts = this.#backends.map((backend) => (stop: AbortSignal) => openAt(backend, address, stop));
    const opened = await this.#opening.run(attempts, options?.signal, ({ blob }) => blob.release?.());
    const { blob } = opened;
    return blob.bytes === undefined
      ? { size: blob.size, read: (range, stop) => this.#read(address, opened, range, stop) }
      : blob;
  }

  scrub(address: BlobAddress, signal?: AbortSignal): Promise<number> {
    return scrub(this.#backends, address, signal);
  }

  absent(address: BlobAddress): boolean {
    return this.#backends.every(({ reader }) => reader.absent(address));
  }

  forget(address: BlobAddress): void {
    for (const { reader } of this.#backends) reader.forget(address);
  }

  /** Reads a window. Where a backend fails in the middle, the next goes on. */
  async *#read(
    address: BlobAddress,
    opened: Opened,
    { start, end }: ByteRange,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const failed = new Set<MirrorBackend>();
    let at = start;
    while (at < end) {
      const started = await this.#start(address, opened, { start: at, end }, failed, signal);
      try {
        for (let step = started.first; !step.done; step = await started.pieces.next()) {
          at += step.value.length;
          yield step.value;
        }
        return;
      } catch (error) {
        failed.add(started.backend);
        if (signal?.aborted || failed.size === this.#backends.length) throw error;
      } finally {
        await letGo(started, opened);
      }
    }
  }

  /** Reads the first piece of a window, from the backend that has it first. */
  #start(
    address: BlobAddress,
    opened: Opened,
    range: ByteRange,
    without: ReadonlySet<MirrorBackend>,
    signal: AbortSignal | undefined,
  ): Promise<Started> {
    const order = [opened.backend, ...this.#backends.filter((other) => other !== opened.backend)];
    const attempts = order
      .filter((backend) => !without.has(backend))
      .map((backend) => async (stop: AbortSignal): Promise<Started> => {
        const here = backend === opened.backend ? opened : await openAt(backend, address, stop);
        const pieces = here.blob.read(range, stop)[Symbol.asyncIterator]();
        return { ...here, pieces, first: await pieces.next() };
      });
    return this.#reading.run(attempts, signal, (late) => void letGo(late, opened).catch(() => {}));
  }
}

const openAt = async (
  backend: MirrorBackend,
  address: BlobAddress,
  signal: AbortSignal,
): Promise<Opened> => ({
  backend,
  blob: await backend.reader.open(address, { signal }),
});

/** Ends a window. The caller of the reader releases `opened` itself. */
async function letGo({ backend, blob, pieces }: Started, opened: Opened): Promise<void> {
  if (backend !== opened.backend) blob.release?.();
  await pieces.return?.();
}

/** Reads every copy, and writes one that is wrong or gone again from one that is right. @throws as `open` */
async function scrub(
  backends: readonly MirrorBackend[],
  address: BlobAddress,
  signal: AbortSignal | undefined,
): Promise<number> {
  const failures: HoldfastError[] = [];
  const bad: MirrorBackend[] = [];
  let good: MirrorBackend | undefined;
  let size = 0;
  for (const backend of backends) {
    try {
      size = await backend.reader.scrub(address, signal);
      good ??= backend;
    } catch (error) {
      const failure = asHoldfastError(error);
      if (!LOST.has(failure.kind)) throw failure;
      failures.push(failure);
      bad.push(backend);
    }
  }
  if (good === undefined) throw worstOf(failures);
  for (const { adapter, reader } of bad) {
    await adapter.storeStream(address, good.adapter.fetchStream(address, { signal }), {
      maxBytes: size,
      replace: true,
      signal,
    });
    reader.forget(address);
  }
  return size;
}

const LOST: ReadonlySet<ErrorKind> = new Set(['NotFound', 'HashMismatch', 'Corrupt']);
