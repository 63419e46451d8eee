import type { BlobAddress } from '../../src/core/address.ts';
import type { BatchOp } from '../../src/engine/engine.ts';
import type { Truth } from './truth.ts';
import type { Life, World } from './world.ts';

interface Watching {
  readonly world: World;
  readonly truth: Truth;
  /** An owner that lives may be taken for one that is gone. */
  readonly leasesLapse: boolean;
  violation(what: string): void;
}

/** Sees every change of the state and every deletion, and whether they may be. */
export class Watch {
  readonly #run: Watching;
  /** Who has the right to move shards of a segment. */
  readonly #holders = new Map<string, Life>();

  /** The state that it looks into is given up. */
  isOver = false;

  constructor(run: Watching) {
    this.#run = run;
  }

  /** A step is about to be written. @returns to be called once it was. */
  async writing(life: Life, ops: readonly BatchOp[]): Promise<() => Promise<void>> {
    const { truth } = this.#run;
    const moved = [
      ...new Set(
        ops.flatMap(({ table, key, value }) =>
          table === 'relocations' && value !== undefined ? [key.split('/')[0]!] : [],
        ),
      ),
    ];
    const before = new Map<string, number | undefined>();
    for (const segment of moved) before.set(segment, await truth.toleratesOf(segment as BlobAddress));
    return async () => {
      for (const { table, key, value } of ops) if (table === 'repair_leases') this.#leased(life, key, value);
      for (const segment of moved) {
        this.#run.world.count('seen moves recorded');
        if (this.#holders.get(segment) !== life)
          this.#run.violation('a move was recorded by who has no lease of its segment');
        const after = await truth.toleratesOf(segment as BlobAddress);
        if ((after ?? 0) < (before.get(segment) ?? 0))
          this.#run.violation(`a move took a segment from surviving ${before.get(segment)} to ${after}`);
      }
    };
  }

  /** A blob was there, and was deleted. */
  deleted(provider: string, address: string): void {
    const { world, truth, violation } = this.#run;
    if (this.isOver) return;
    void world.standStill(async () => {
      world.count('seen deletions judged');
      if (await truth.isInUse(provider, address))
        violation(`${address} was deleted at ${provider}, and is in use`);
    });
  }

  #leased(life: Life, segment: string, value: Uint8Array | undefined): void {
    const holder = this.#holders.get(segment);
    if (value === undefined) this.#holders.delete(segment);
    else this.#holders.set(segment, life);
    if (holder === undefined || holder === life || value === undefined) return;
    this.#run.world.count('seen leases taken over');
    if (holder.alive && !this.#run.leasesLapse) this.#run.violation('the lease of one that lives was taken');
  }
}
