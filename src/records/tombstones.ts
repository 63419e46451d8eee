import { type AbortOptions, abortable } from '../core/abort.ts';
import { equalBytes } from '../core/bytes.ts';
import { timeoutSignal } from '../core/clock.ts';
import type { BatchOp } from '../engine/engine.ts';
import type { Pointer } from '../manifest/pointer.ts';
import type { Provider } from '../providers/provider.ts';
import type { RecordsContext } from './context.ts';
import { generationOf } from './generation.ts';
import { nameIndexOf } from './name-index.ts';
import { forgottenCopies } from './name-places.ts';
import { NAMES_TABLE, NameOpener } from './name-record.ts';
import { dueEntries, isDue, slotContent, withSlots } from './slots.ts';

export interface DroppedTombstones {
  /** Removals that nothing remembers any more. */
  readonly dropped: number;
  /** Removals that are old enough and stay, for a provider holds something else or did not answer. */
  readonly kept: number;
}

/** Removals that are looked at at once. */
const PARALLEL = 16;
/** One call to a provider. */
const CALL_MS = 15_000;

/**
 * Forgets removals that are old enough and that every provider has heard of. All providers with slots must answer, and
 * this state must be the latest; otherwise all stay, and a later call tries again. A name that cannot be read is left.
 * @param keptMs for so long a removal is remembered, that a provider which was away does not bring the name back.
 * @throws HoldfastError `Aborted`; what the engine throws.
 */
export async function dropTombstones(
  context: RecordsContext,
  keptMs: number,
  options: AbortOptions = {},
): Promise<DroppedTombstones> {
  const dropping = new Dropping(context, options);
  let batch: Tombstone[] = [];
  const opener = new NameOpener(context);
  const names = context.engine.table(NAMES_TABLE).entries({ ...options, onDamaged: opener.onDamaged });
  for await (const [nameKey, sealed] of names) {
    const pointer = opener.open(sealed, nameKey);
    if (pointer === undefined || pointer.manifest !== undefined) continue;
    if (context.clock.now() - pointer.createdMs < keptMs) continue;
    batch.push({ nameKey, sealed, pointer });
    if (batch.length < PARALLEL) continue;
    await dropping.drop(batch);
    batch = [];
  }
  await dropping.drop(batch);
  if (dropping.dropped > 0) await generationOf(context).publish();
  return { dropped: dropping.dropped, kept: dropping.kept };
}

interface Tombstone {
  readonly nameKey: string;
  readonly sealed: Uint8Array;
  readonly pointer: Pointer;
}

class Dropping {
  dropped = 0;
  kept = 0;
  readonly #context: RecordsContext;
  readonly #options: AbortOptions;
  readonly #able: readonly Provider[];
  /** A provider failed: it would fail for all others too, and each may take long to find out. */
  #isOver = false;

  constructor(context: RecordsContext, options: AbortOptions) {
    this.#context = context;
    this.#options = options;
    this.#able = withSlots(context.directory.all());
  }

  async drop(batch: readonly Tombstone[]): Promise<void> {
    if (batch.length === 0) return;
    if (!this.#isOver) this.#isOver = !(await this.#mayDrop());
    const done = await Promise.all(batch.map((tombstone) => this.#dropUnlessFailed(tombstone)));
    for (const isGone of done) {
      if (isGone) this.dropped++;
      else this.kept++;
    }
  }

  async #mayDrop(): Promise<boolean> {
    if (!this.#able.every(({ id }) => this.#context.directory.isResponsive(id))) return false;
    return (await generationOf(this.#context).standing(this.#options)).state === 'confirmed';
  }

  async #dropUnlessFailed(tombstone: Tombstone): Promise<boolean> {
    if (this.#isOver) return false;
    try {
      return await this.#dropOne(tombstone);
    } catch {
      this.#options.signal?.throwIfAborted();
      this.#isOver = true;
      return false;
    }
  }

  /**
   * The slots first, and before them that they are due: whatever comes between, a crash or a put of the name, they are
   * brought up to date again by what the name stands for then.
   */
  async #dropOne({ nameKey, sealed, pointer }: Tombstone): Promise<boolean> {
    const { engine, keys } = this.#context;
    const slot = keys.slotName(pointer.name);
    const ids = this.#able.map(({ id }) => id);
    if (await isDue(this.#context, ids, nameKey)) return false;
    const content = slotContent(nameKey, sealed);
    const holds = await this.#atEach(async ({ adapter }, signal) => {
      const there = await adapter.readSlot(slot, { signal });
      return there === undefined || equalBytes(there.bytes, content);
    });
    if (!holds.every(Boolean)) return false;
    const noted = await engine.batch(
      dueEntries(ids, nameKey, pointer.version),
      [{ table: NAMES_TABLE, key: nameKey, expected: sealed }],
      { sync: true },
    );
    if (!noted) return false;
    await this.#atEach(({ adapter }, signal) => adapter.deleteSlot(slot, { forget: true, signal }));
    const ops: BatchOp[] = [
      { table: NAMES_TABLE, key: nameKey, value: undefined },
      ...dueEntries(ids, nameKey, undefined),
      ...(await forgottenCopies(this.#context, nameKey)),
    ];
    const write = { nameKey, expected: sealed, name: pointer.name, listed: undefined, ops };
    return nameIndexOf(this.#context).writeOne(write, this.#options);
  }

  #atEach<T>(ask: (provider: Provider, signal: AbortSignal) => Promise<T>): Promise<T[]> {
    const { signal } = this.#options;
    const late = timeoutSignal(this.#context.clock, CALL_MS);
    const both = signal === undefined ? late : AbortSignal.any([signal, late]);
    return Promise.all(this.#able.map((provider) => abortable(ask(provider, both), both, 'gc')));
  }
}
