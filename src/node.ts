export type { ListenerTlsFiles } from './http/listener.ts';
export type { AccessEntry, ServiceLog } from './http/log.ts';
export type { NodeLimits } from './node/context.ts';
export { type StartNodeOptions, startNode } from './vault/start-node.ts';
export type { RunningService, ServeOptions } from './vault/start-service.ts';
