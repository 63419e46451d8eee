export { createAuthenticator, hashToken, type TokenEntry, type TokenTable } from '../http/auth/tokens.ts';
export { type ServiceLog, silentLog } from '../http/log.ts';
export { gunzip, type Inflater } from './body/inflate.ts';
export { selectZstdInflater } from './body/zstd.ts';
export type { Inflaters, NodeVersion } from './context.ts';
export { DEFAULT_LIMITS, type NodeLimits } from './limits.ts';
export { createNode, type NodeOptions, type StorageNode } from './node.ts';
