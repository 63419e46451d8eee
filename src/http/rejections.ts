/** Why requests and connections are turned away before any work: the values of the metric's label. */
export const REJECTIONS: readonly string[] = [
  'max_connections',
  'max_inflight',
  'max_rps',
  'client_rps',
  'idle_timeout',
  'request_timeout',
  'malformed',
  'unauthorized',
];
