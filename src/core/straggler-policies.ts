import type { StragglerPolicy } from './stragglers.ts';

/*
 * When a provider is late, for each kind of work. What a mistake costs decides: a second copy of a small read costs next to
 * nothing, a pack that is moved costs its bytes, a wrong verdict costs an operator's night.
 */

/** After how long another is asked beside one, where nothing was measured yet that tells who is late. In milliseconds. */
export const HEDGE_AFTER_MS = 30;

/** The policy, with another such time. */
export const hedgedAfter = (policy: StragglerPolicy, hedgeAfterMs: number): StragglerPolicy => ({
  ...policy,
  aloneMs: hedgeAfterMs,
});

/** A manifest node, of which any copy will do: the next is read beside it. */
export const NODE_READS: StragglerPolicy = {
  floorMs: 100,
  factor: 3,
  quorum: 0,
  aloneMs: HEDGE_AFTER_MS,
  atMostMs: 2_000,
};

/** A range of shards: others that add rank are read beside it. */
export const SHARD_READS: StragglerPolicy = { floorMs: 100, factor: 3, quorum: 0.5 };

/** The same of so few bytes, and with so few others to compare with, that others are read beside it anyway. */
export const SMALL_READS: StragglerPolicy = { ...SHARD_READS, aloneMs: HEDGE_AFTER_MS };
export const SMALL_READ_BYTES: number = 64 * 1024;
export const FEW_READS = 3;

/** Whether one that did without is to be held against it. */
export const SHARD_LOSERS: StragglerPolicy = { ...SHARD_READS, quorum: 0 };

/** A copy of a manifest node on its way to a provider: another one is sent beside it. */
export const NODE_WRITES: StragglerPolicy = { floorMs: 250, factor: 3, quorum: 0.5 };

/** A pack on its way to a provider: its shards go elsewhere, where the object then survives as many losses. */
export const PACK_WRITES: StragglerPolicy = { floorMs: 1_000, factor: 3, quorum: 2 / 3 };

/** The same, sooner: a provider that late is asked whether it is there at all, and is given up on if it is not. */
export const PACK_DOUBTS: StragglerPolicy = { ...PACK_WRITES, floorMs: 300 };

/** Checking what is there: who is late is asked whether it is there at all, and is unconfirmed only if not. */
export const CHECKS: StragglerPolicy = { floorMs: 200, factor: 3, quorum: 0.5 };

/** Deletes: what is left is queued and tried again later. */
export const DELETES: StragglerPolicy = { floorMs: 500, factor: 3, quorum: 0.5 };

/** Copies of a name's pointer. */
export const POINTER_WRITES: StragglerPolicy = { floorMs: 500, factor: 3, quorum: 0.5, aloneMs: 5_000 };

/** What the providers know of names: who is late is unconfirmed, never missing. */
export const LISTINGS: StragglerPolicy = { floorMs: 500, factor: 3, quorum: 0.5, aloneMs: 10_000 };

/** A blob that the gateway passes on: the next provider is read beside it. Opening one verifies all of it. */
export const BLOB_READS: StragglerPolicy = {
  floorMs: 200,
  factor: 3,
  quorum: 0,
  aloneMs: HEDGE_AFTER_MS,
  atMostMs: 10_000,
};

/** A node's backend: the next is read beside it. Backends of one node are near each other, so slower than 95 of 100 is slow. */
export const BACKEND_READS: StragglerPolicy = {
  floorMs: 5,
  factor: 1,
  quorum: 0,
  aloneMs: HEDGE_AFTER_MS,
  atMostMs: 10_000,
};

/** A probe before a put: the provider is left out for now, where objects survive enough losses without it. */
export const PROBES: StragglerPolicy = { floorMs: 500, factor: 3, quorum: 0.5 };
