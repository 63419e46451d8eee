import { wasmBlake3 as blake3 } from '../../../src/core/b3/wasm.ts';
import { equalBytes } from '../../../src/core/bytes.ts';
import { HoldfastError } from '../../../src/core/errors.ts';
import type { Anchor, AnchorItem, AnchorState } from '../../../src/receipts/anchors/anchor.ts';
import { finalPath, rootPath } from '../../../src/receipts/log/folder.ts';
import { encodeRoot } from '../../../src/receipts/records/root.ts';
import { FolderWatcher, type WatchedFolder } from '../../../src/receipts/settlement/watcher.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { CrashingFiles, ed25519 } from '../world.ts';
import { type LedgerWorld, MIB, newLedger, type Terms } from './world.ts';

const idOf = ({ kind, key }: AnchorItem): string => `${kind} ${key}`;

/** A chain as its users see it: items wait, come into a block, lie deeper, and are forgotten again. */
export class Chain implements Anchor {
  readonly name = 'evm';
  readonly confirmations = 1;
  /** From the oldest. */
  blocks: Map<string, AnchorItem>[] = [];
  waiting = new Map<string, AnchorItem>();
  /** Every item it ever took. */
  submitted = 0;
  fault: (() => Error | undefined) | undefined;

  async submit(items: readonly AnchorItem[]): Promise<void> {
    this.#answer();
    for (const item of items) {
      const before = this.waiting.get(idOf(item)) ?? this.#placeOf(item)?.item;
      if (before !== undefined && !equalBytes(before.digest, item.digest))
        throw new HoldfastError('Conflict', 'another digest', { code: 'anchor_conflict' });
      if (before !== undefined) continue;
      this.submitted++;
      this.waiting.set(idOf(item), item);
    }
  }

  async look(items: readonly AnchorItem[]): Promise<AnchorState[]> {
    this.#answer();
    return items.map((item) => {
      const place = this.#placeOf(item);
      if (place !== undefined && equalBytes(place.item.digest, item.digest))
        return { state: 'included', depth: this.blocks.length - place.block, where: `block ${place.block}` };
      return { state: this.waiting.has(idOf(item)) ? 'pending' : 'absent' };
    });
  }

  mine(): void {
    this.blocks.push(this.waiting);
    this.waiting = new Map();
  }

  /** The last blocks are gone. @param keeps whether what was in them waits again. */
  reorganise(depth: number, keeps: boolean): void {
    const gone = this.blocks.splice(Math.max(0, this.blocks.length - depth));
    if (keeps) for (const block of gone) for (const [id, item] of block) this.waiting.set(id, item);
  }

  async close(): Promise<void> {}

  #answer(): void {
    const fault = this.fault?.();
    if (fault !== undefined) throw fault;
  }

  #placeOf(item: AnchorItem): { readonly item: AnchorItem; readonly block: number } | undefined {
    for (const [block, items] of this.blocks.entries()) {
      const found = items.get(idOf(item));
      if (found !== undefined) return { item: found, block };
    }
    return undefined;
  }
}

export const FOLDER = '/gw';
const GATEWAY_SIGNER = ed25519.signer(new Uint8Array(32).fill(5));
export const GATEWAY_KEY: Uint8Array = GATEWAY_SIGNER.publicKey;

/** Puts a root as a gateway would: two providers served, and readers acknowledged it. */
export function putRoot(
  files: CrashingFiles,
  epoch: number,
  { bytes = MIB, says = epoch, fill = epoch }: { bytes?: number; says?: number; fill?: number } = {},
): void {
  const one = (provider: string, credited: number) => ({
    ...{ provider, reads: 4, signed: 4, readers: 4, bytes: credited, signedBytes: credited },
    ...{ executions: 0, cpuUs: 0, credited },
  });
  const hash = new Uint8Array(32).fill(fill);
  const encoded = encodeRoot(
    {
      ...{ gateway: GATEWAY_KEY, epoch: says, root: hash, subtrees: [hash], count: 8 },
      ...{ bytes: 2 * bytes, credited: 2 * bytes, denied: 0, previous: undefined },
      providers: [one('p1', bytes), one('p2', bytes)],
    },
    GATEWAY_SIGNER,
  );
  files.put(rootPath(FOLDER, epoch), encoded);
}

export interface ChainWorld {
  readonly files: CrashingFiles;
  readonly chain: Chain;
  readonly ledger: LedgerWorld;
  readonly clock: FakeClock;
  watcher(options?: Partial<WatchedFolder>): FolderWatcher;
  hasFinal(epoch: number): boolean;
}

export function newChainWorld(terms: Partial<Terms> = {}): ChainWorld {
  const files = new CrashingFiles();
  const ledger = newLedger({ poolCredits: 1_000, ...terms });
  const clock = new FakeClock();
  return {
    ...{ files, ledger, clock, chain: new Chain() },
    watcher: (options = {}) =>
      new FolderWatcher({
        ...{ files, folder: FOLDER, blake3, ed25519, clock, confirmations: 3 },
        settlement: ledger.again(),
        ...options,
      }),
    hasFinal: (epoch) => files.paths().includes(finalPath(FOLDER, epoch)),
  };
}
