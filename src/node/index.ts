export { createAuthenticator, hashToken, type TokenEntry, type TokenTable } from '../http/auth.ts';
export { type ServiceLog, silentLog } from '../http/log.ts';
export type { Inflaters, NodeVersion } from './context.ts';
export { DEFAULT_LIMITS, type NodeLimits } from './context.ts';
export { gunzip, type Inflater, selectZstdInflater } from './inflate.ts';
export { createNode, type NodeOptions, type StorageNode } from './node.ts';
