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
  });
}
