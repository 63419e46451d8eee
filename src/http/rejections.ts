/** Why requests and connections are turned away before any work: the values of the metric's label. */
export const REJECTIONS = [
  'max_connections',
  'client_connections',
  'max_inflight',
  'max_rps',
  'client_rps',
  'pipelined',
  'idle_timeout',
  'request_timeout',
  'malformed',
  'unauthorized',
] as const;

export type Rejection = (typeof REJECTIONS)[number];

/** Those that a single request meets; of reads they are counted apart. */
export type Shedding = Extract<Rejection, 'max_inflight' | 'max_rps' | 'client_rps' | 'pipelined'>;

/** Why reads are refused, likewise. */
export const READ_DENIALS: readonly (Shedding | 'unauthorized' | 'forbidden')[] = [
  'max_inflight',
  'max_rps',
  'client_rps',
  'pipelined',
  'unauthorized',
  'forbidden',
];
