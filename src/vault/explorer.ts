import type { ExplorerSource } from '../explorer/source.ts';
import { createVaultSource } from '../explorer/vault-source.ts';
import type { ComposedVault } from './assemble.ts';
import { lostNow } from './repair.ts';
import { statusOf } from './status.ts';

/** What the page of a gateway or a daemon shows of its vault. */
export function explorerOver(composed: ComposedVault): ExplorerSource {
  const { context, catalog, sealed, repairLog } = composed;
  return createVaultSource({
    context,
    sealed,
    lost: (signal) => lostNow(composed, signal),
    providers: () => catalog.snapshot(),
    repairs: (limit, signal) => repairLog.history({ limit, signal }),
    status: (signal) => statusOf(composed, { signal }),
    settings: () => settingsOf(composed),
  });
}

/** What an operator wants to compare: no paths, and nothing of the providers' own sections. */
function settingsOf({ config, context, sealed }: ComposedVault): object {
  const { chunks, compression, encryption, erasure, integrity, placement, retention, scrub, repair } = config;
  const { logDir: _, ...limits } = repair;
  const { default: engine, overrides } = config.engine;
  return {
    sealed,
    warnings: config.warnings,
    writes: {
      code: context.policy.code.name,
      compression: `${compression.algorithm}, level ${compression.level}`,
      encryption: encryption.algorithm,
      replicaBelowBytes: erasure.replicaBelowBytes,
      chunkBytes: chunks.defaultBytes,
      verifyWrites: integrity.verifyWrites,
    },
    placement,
    retention,
    repair: limits,
    scrub,
    engines: { default: engine, overrides, open: context.engine.name, blake3: context.blake3.name },
  };
}
