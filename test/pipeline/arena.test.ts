import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/core/errors.ts';
import { type Arena, createArena, type Slab } from '../../src/pipeline/arena.ts';

const MIB = 1024 * 1024;
const PAGE = 4096;
const RUNS = process.env.SLOW === '1' ? 5000 : 200;

type Step =
  | { readonly kind: 'try' | 'wait'; readonly length: number }
  | { readonly kind: 'shrink'; readonly which: number; readonly share: number }
  | { readonly kind: 'release' | 'abort'; readonly which: number };

const length = fc.oneof(fc.nat({ max: 3 * PAGE }), fc.nat({ max: MIB / 2 }));
const which = fc.nat();
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('try' as const, 'wait' as const), length }),
  fc.record({
    kind: fc.constant('shrink' as const),
    which,
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  fc.record({ kind: fc.constantFrom('release' as const, 'release' as const, 'abort' as const), which }),
);

interface Waiting {
  readonly length: number;
  readonly abort: AbortController;
  outcome: 'waiting' | 'granted' | 'aborted';
}

/** Runs steps against an arena and holds it to what it promises after each. */
class Model {
  readonly arena: Arena = createArena(MIB);
  readonly held: Slab[] = [];
  readonly waiting: Waiting[] = [];
  /** Waiters in the order they were served. */
  readonly served: Waiting[] = [];

  async run(step: Step): Promise<void> {
    if (step.kind === 'try') this.#tryAllocate(step.length);
    else if (step.kind === 'wait') this.#wait(step.length);
    else if (step.kind === 'shrink') this.#shrink(step.which, step.share);
    else if (step.kind === 'release' && this.held.length > 0) {
      this.arena.release(this.held.splice(step.which % this.held.length, 1)[0]!);
    } else if (step.kind === 'abort' && this.waiting.length > 0) {
      this.waiting[step.which % this.waiting.length]!.abort.abort();
    }
    await settled();
    this.check();
  }

  #tryAllocate(length: number): void {
    const slab = this.arena.tryAllocate(length);
    if (this.waiting.some(({ outcome }) => outcome === 'waiting')) expect(slab).toBeUndefined();
    if (slab !== undefined) this.#hold(slab, length);
  }

  #wait(length: number): void {
    const waiting: Waiting = { length, abort: new AbortController(), outcome: 'waiting' };
    this.waiting.push(waiting);
    this.arena.allocate(length, waiting.abort.signal).then(
      (slab) => {
        waiting.outcome = 'granted';
        this.served.push(waiting);
        this.#hold(slab, length);
      },
      (error: unknown) => {
        expect(error).toMatchObject({ kind: 'Aborted' });
        waiting.outcome = 'aborted';
      },
    );
  }

  #shrink(which: number, share: number): void {
    if (this.held.length === 0) return;
    const at = which % this.held.length;
    const slab = this.held[at]!;
    const length = Math.floor(slab.length * share);
    const kept = this.arena.shrink(slab, length);
    expect(kept).toMatchObject({ offset: slab.offset, length });
    expect(kept.bytes.length).toBe(length);
    this.held[at] = kept;
  }

  #hold(slab: Slab, length: number): void {
    expect(slab.length).toBe(length);
    expect(slab.bytes.length).toBe(length);
    expect(slab.bytes.byteOffset).toBe(slab.offset);
    expect(slab.offset % PAGE).toBe(0);
    this.held.push(slab);
  }

  check(): void {
    const ranges = this.held
      .map(({ offset, length }) => [offset, offset + onPages(length)] as const)
      .sort(([a], [b]) => a - b);
    let roomiest = 0;
    let end = 0;
    for (const [from, to] of [...ranges, [this.arena.capacity, this.arena.capacity] as const]) {
      expect(from, 'no overlap').toBeGreaterThanOrEqual(end);
      roomiest = Math.max(roomiest, from - end);
      end = to;
    }
    const first = this.waiting.findIndex(({ outcome }) => outcome === 'waiting');
    if (first < 0) return;
    expect(onPages(this.waiting[first]!.length), 'nobody waits while there is room').toBeGreaterThan(
      roomiest,
    );
    expect(this.waiting.slice(first).map(({ outcome }) => outcome)).not.toContain('granted');
  }

  /** Lets go of everything until nobody waits. */
  async drain(): Promise<void> {
    while (this.held.length > 0) await this.run({ kind: 'release', which: 0 });
  }
}

const onPages = (length: number): number => Math.max(PAGE, Math.ceil(length / PAGE) * PAGE);

/** Grants reach their promises' handlers. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('arena', () => {
  test('slabs never overlap, waiters are served in order, and all room comes back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const model = new Model();
        for (const step of steps) await model.run(step);
        await model.drain();
        expect(model.waiting.map(({ outcome }) => outcome)).not.toContain('waiting');
        const served = model.waiting.filter(({ outcome }) => outcome === 'granted');
        expect(model.served).toEqual(served);
        const whole = model.arena.tryAllocate(model.arena.capacity);
        expect(whole?.offset, 'one hole again').toBe(0);
      }),
      { numRuns: RUNS },
    );
  });

  test('a large waiter is not overtaken by small ones', async () => {
    const arena = createArena(MIB);
    const held = arena.tryAllocate(MIB / 2)!;
    const order: string[] = [];
    const noted = async (what: string, slab: Promise<Slab>): Promise<Slab> => {
      await slab;
      order.push(what);
      return slab;
    };
    const large = noted('large', arena.allocate(MIB));
    const small = noted('small', arena.allocate(1));
    await settled();
    expect(order).toEqual([]);
    expect(arena.tryAllocate(1)).toBeUndefined();
    arena.release(held);
    arena.release(await large);
    await small;
    expect(order).toEqual(['large', 'small']);
  });

  test('a waiter that goes away lets those behind it through', async () => {
    const arena = createArena(MIB);
    arena.tryAllocate(MIB / 2);
    const abort = new AbortController();
    const large = arena.allocate(MIB, abort.signal);
    const small = arena.allocate(1);
    abort.abort();
    await expect(large).rejects.toMatchObject({ kind: 'Aborted' });
    await settled();
    expect(arena.tryAllocate(1)).toBeDefined();
    expect((await small).length).toBe(1);
  });

  test('an aborted signal, or a deadline that passed, is refused at once with its reason', async () => {
    const arena = createArena(MIB);
    await expect(arena.allocate(1, AbortSignal.abort())).rejects.toMatchObject({ kind: 'Aborted' });
    const late = AbortSignal.abort(new HoldfastError('Timeout', 'too late'));
    await expect(arena.allocate(1, late)).rejects.toMatchObject({ kind: 'Timeout' });
    expect(arena.tryAllocate(MIB)).toBeDefined();
  });

  test('what can never fit is refused instead of waiting for ever', async () => {
    const arena = createArena(MIB);
    await expect(arena.allocate(MIB + 1)).rejects.toMatchObject({
      kind: 'QuotaExceeded',
      code: 'arena_too_small',
    });
    expect(arena.tryAllocate(MIB + 1)).toBeUndefined();
  });

  test('the memory is shared and one: what one view writes another reads', () => {
    const arena = createArena(100_000);
    expect(arena.capacity).toBe(131_072);
    expect(arena.memory.buffer).toBeInstanceOf(SharedArrayBuffer);
    const slab = arena.tryAllocate(10)!;
    slab.bytes.fill(7);
    expect(new Uint8Array(arena.memory.buffer, slab.offset, 10).every((byte) => byte === 7)).toBe(true);
  });
});
