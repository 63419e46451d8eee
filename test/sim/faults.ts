/** All that can be made to go wrong. What fires is counted under these names; in many runs each must. */
export const FAULTS = [
  // Of one request.
  'refused',
  'lost answer',
  'silent',
  'slow',
  'flipped bit',
  'partial list',
  'late effect',
  // Of a provider for a while, or for good.
  'absence',
  'full provider',
  'denied provider',
  'wiped provider',
  'rotten provider',
  'restored provider',
  'lost provider',
  'returned provider',
  'lying read',
  'dropped store',
  'silent rot',
  // Of processes and of the machine.
  'kill',
  'kill in a call',
  'kill of a worker',
  'power cut',
  'power cut after an acknowledgement',
  'clock jump',
  'paused process',
  'lapsed leases',
  // Of the state folder.
  'full disk',
  'disk error on read',
  'disk error before a write',
  'disk error after a write',
  'rotten record',
  'rotten name',
  'rotten backlog',
  'rotten upkeep',
  'restored state',
  'copied state',
  'lost state',
  // When everything else is over.
  'destroyed domains',
] as const;

/** What workers do, and what of it was checked: in many runs each must be met. */
export const WORK = [
  'done repair',
  'done repair chunk',
  'done scrub',
  'done audit',
  'done status',
  'done evacuate',
  'done replace',
  'done rebalance',
  'loop repair',
  'loop scrub',
  'loop audit',
  'loop status',
  'seen a daemon converge',
  'chunks success',
  'chunks skipped',
  'seen damage found by scrub',
  'seen damage found by audit',
  'seen cap reached',
  'seen reads for repair counted',
  'seen node copies repaired',
  'seen shards evacuated',
  'seen shards replaced',
  'seen moves recorded',
  'seen leases taken over',
  'seen deletions judged',
  'seen objects whole again',
] as const;

export type Fault = (typeof FAULTS)[number];

/** Under this a fault is counted. */
export const countedAs = (fault: Fault): string => `fault ${fault}`;
