import { createAuthenticator } from '../../src/http/auth.ts';
import { silentLog } from '../../src/http/log.ts';
import { gunzip, selectZstdInflater } from '../../src/node/inflate.ts';
import { createNode } from '../../src/node/node.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { silentMetrics } from '../../src/telemetry/index.ts';
import { ACCELERATION } from '../helpers/vault.ts';
import { deps } from '../providers/deps.ts';

export interface ServedNode {
  readonly port: number;
  /** Closes the adapter too. */
  close(): Promise<void>;
}

/**
 * A storage node on the loopback that lets anybody do anything. @param tls over TLS, mutual if an authority is named.
 * @param maxForeignBodyBytes of one body; undefined: as a node has it that nobody configured.
 */
export async function serveNode(
  adapter: BlobAdapter,
  tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string },
  limits: { readonly maxForeignBodyBytes?: number } = { maxForeignBodyBytes: 64 * 1024 * 1024 },
): Promise<ServedNode> {
  const table = { tokens: [], anonymous: new Set(['read', 'write', 'delete'] as const) };
  const node = createNode({
    adapter,
    ...deps,
    auth: createAuthenticator(() => table),
    metrics: silentMetrics.services,
    exposition: { contentType: 'text/plain', renderMetrics: async () => '' },
    inflaters: { gzip: gunzip, zstd: await selectZstdInflater(ACCELERATION) },
    log: silentLog,
    version: '0',
    limits,
  });
  const { port } = (await node.listen({ kind: 'tcp', host: '127.0.0.1', port: 0, tls })) as { port: number };
  return {
    port,
    async close() {
      await node.close();
      await adapter.close();
    },
  };
}
