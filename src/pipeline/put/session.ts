import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { addressOf } from '../../core/address.ts';
import type { HoldfastError } from '../../core/errors.ts';
import type { ObjectKeys } from '../../keys/derivation.ts';
import type { CopiesWanted } from '../../object/rendezvous.ts';
import { type NodeOutbox, type StoredNode, storeNode } from '../../object/store-node.ts';
import type { Provider } from '../../providers/provider.ts';
import { timed } from '../../telemetry/metrics.ts';
import type { TransferContext } from '../context.ts';
import { kernelFault } from '../cpu/write-check.ts';
import { PutFailures } from './failures.ts';
import type { Outbox } from './outbox.ts';
import { Placements } from './placements.ts';

export interface SessionSetup {
  readonly signal: AbortSignal;
  readonly objectId: Uint8Array;
  readonly keys: ObjectKeys;
  readonly code: LinearCode;
  /** Providers eligible when the put began. */
  readonly placed: readonly Provider[];
  /** How good each is; the higher, the better. */
  readonly scores: readonly number[];
  readonly nodeCopies: CopiesWanted;
  readonly minTolerates: number;
  readonly outbox: Outbox;
}

/** What the parts of one put share. What changes is changed by its owner's methods only. */
export class PutSession {
  readonly context: TransferContext;
  readonly signal: AbortSignal;
  readonly objectId: Uint8Array;
  readonly keys: ObjectKeys;
  readonly code: LinearCode;
  readonly minTolerates: number;
  readonly outbox: Outbox;
  readonly failures: PutFailures = new PutFailures();
  readonly placements: Placements;
  readonly #nodeCopies: CopiesWanted;

  constructor(context: TransferContext, setup: SessionSetup) {
    const { placed, scores } = setup;
    this.context = context;
    this.signal = setup.signal;
    this.objectId = setup.objectId;
    this.keys = setup.keys;
    this.code = setup.code;
    this.minTolerates = setup.minTolerates;
    this.outbox = setup.outbox;
    this.#nodeCopies = setup.nodeCopies;
    const turn = setup.objectId[0]! * 256 + setup.objectId[1]!;
    const { failureDomain } = context.policy;
    this.placements = new Placements({ code: setup.code, failureDomain, placed, scores, turn });
  }

  /** Later chunks avoid the provider; its shards of this segment move. */
  providerFailed({ id }: Provider, error: HoldfastError, bytes: number): void {
    this.failures.add(id, error, bytes);
    this.placements.exclude(id);
  }

  /** Keeps a manifest node at usable providers. @param sent told before each copy leaves. */
  async storeNode(bytes: Uint8Array, sent: NodeOutbox = this.outbox): Promise<StoredNode> {
    const { context, outbox, placements, signal } = this;
    const { address, providers } = await timed(context, 'manifest', () =>
      storeNode(context, bytes, placements.usable, this.#nodeCopies, sent, signal),
    );
    for (const provider of providers) outbox.acknowledged(provider, address, bytes.length, 'node');
    const { policy, secondBlake3, blake3 } = context;
    if (policy.verifyWrites === 'full' && addressOf((await secondBlake3()).hash(bytes)) !== address) {
      throw kernelFault(`blake3 (${blake3.name})`, 'a manifest node has another address');
    }
    return { address, providers };
  }
}
