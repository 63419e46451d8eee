import {
  createVault,
  type ErrorCode,
  HoldfastError,
  type ObjectReader,
  openVault,
  type Vault,
} from 'holdfast';
import { openCatalog } from 'holdfast/catalog';
import { createCode, DEFAULT_LRC } from 'holdfast/erasure';
import { startGateway } from 'holdfast/gateway';
import { startNode } from 'holdfast/node';
import { type AdapterKind, bytes, createMemoryAdapter, optional, systemDeps } from 'holdfast/providers';
import { conformanceCases } from 'holdfast/testing';

const [home = ''] = process.argv.slice(2);

interface ShelfKeys {
  readonly room?: number;
}
const shelf: AdapterKind<'shelf', ShelfKeys> = {
  name: 'shelf',
  keys: { room: optional(bytes(0, 1, 2 ** 40), 'how much it keeps') },
  open: async ({ id, room }, deps) => createMemoryAdapter({ ...deps, id, capacityBytes: room }),
};

const config = {
  engine: { default: 'memory' },
  providers: ['a', 'b', 'c'].map((id) => ({ id, adapter: 'shelf', room: 10_000_000 }) as const),
} as const;
const vault: Vault = await createVault({ home, adapters: [shelf], config, unwrapped: true });
await vault.putObject(new Blob(['typed'], { type: 'text/plain' }), { name: 'x' });
const reader: ObjectReader = await vault.getObject('x');
const text = await reader.text();
const code: ErrorCode | undefined = await vault.statObject('nothing').then(
  () => undefined,
  (error: unknown) => (error instanceof HoldfastError ? error.code : undefined),
);
// @ts-expect-error: the configuration knows no such kind
const refused = await openVault({ home, config }).catch((error: HoldfastError) => error.kind);
const node = await startNode({ adapter: createMemoryAdapter({ ...(await systemDeps()), id: 'n' }) });
const gateway = await startGateway({ vault });
const catalog = await openCatalog({ providers: [] });
const coder = await createCode(DEFAULT_LRC);
console.log(
  text,
  code,
  refused,
  catalog.snapshot().length,
  typeof coder.encode,
  conformanceCases.length > 10,
);
await gateway.close();
await node.close();
await vault.close();
