export type { ReceiptsConfig } from './config/types.ts';
export {
  type CreditedManifest,
  type CreditOptions,
  ProviderOverrides,
  providerForManifest,
  type ReadKind,
} from './gateway/credit.ts';
export type {
  BegunExecution,
  ExecutionRequest,
  Executions,
  ExecutionTerms,
} from './gateway/executions.ts';
export type { CacheBudgets } from './gateway/vault-store.ts';
export type { HttpLimits } from './http/limits.ts';
export type { ListenerTlsFiles } from './http/listener.ts';
export type { AccessEntry, ServiceLog } from './http/log.ts';
export { type RunningGateway, type StartGatewayOptions, startGateway } from './vault/start-gateway.ts';
export type { RunningService, ServeOptions } from './vault/start-service.ts';
