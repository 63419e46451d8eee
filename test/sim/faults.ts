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
  // Of processes and of the machine.
  'kill',
  'kill in a call',
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
  'restored state',
  'copied state',
  'lost state',
  // When everything else is over.
  'destroyed domains',
] as const;

export type Fault = (typeof FAULTS)[number];

/** Under this a fault is counted. */
export const countedAs = (fault: Fault): string => `fault ${fault}`;
