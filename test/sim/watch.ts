import type { BlobAddress } from '../../src/core/address.ts';
import { utf8Decode } from '../../src/core/bytes.ts';
import type { BatchOp } from '../../src/engine/engine.ts';
import type { Truth } from './truth.ts';
import type { Life, World } from './world.ts';

interface Watching {
  readonly world: World;
  readonly truth: Truth;
  /** An owner that lives may be taken for one that is gone. */
  readonly leasesLapse: boolean;
  /** What may be read for repair from one provider on one day. */
  readonly egressPerDay: number | undefined;
  violation(what: string): void;
}

/** Names, and manifest nodes that hardly anybody has, are shorter, and are moved whatever the cap is. */
const SMALL_BYTES = 2048;

/** Sees every change of the state and every deletion, and whether they may be. */
export class Watch {
  readonly #run: Watching;
  /** Who has the right to move shards of a segment. */
  readonly #holders = new Map<string, Life>();

  /** What was read for repair, by day and provider. */
  readonly #counted = new Map<string, number>();
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
    for (const { table, key, value } of ops) if (table === 'repair_egress') await this.#read(key, value);
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

  /** @param key `<day>/<provider>`. */
  async #read(key: string, value: Uint8Array | undefined): Promise<void> {
    const { egressPerDay, truth, violation } = this.#run;
    if (egressPerDay === undefined || value === undefined) return;
    const { bytes } = JSON.parse(utf8Decode(value)) as { bytes: number };
    this.#run.world.count('seen reads for repair counted');
    const more = bytes - (this.#counted.get(key) ?? 0);
    // Of several who write at once one knows less, and fails.
    this.#counted.set(key, Math.max(bytes, this.#counted.get(key) ?? 0));
    if (bytes <= egressPerDay || more < SMALL_BYTES) return;
    // What has no loss left to give is read all the same.
    if ((await truth.leastKnown()) > 0) violation(`${bytes} bytes of ${key} were read for repair`);
    else this.#run.world.count('seen reads beyond the cap');
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
