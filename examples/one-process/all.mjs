// Four nodes, a vault over them, a gateway and a catalog, in one program.
import { randomBytes } from 'node:crypto';
import { openVault } from 'holdfast';
import { openCatalog } from 'holdfast/catalog';
import { startGateway } from 'holdfast/gateway';
import { startNode } from 'holdfast/node';
import { createMemoryAdapter, createProvider, systemDeps } from 'holdfast/providers';

const deps = await systemDeps();
const token = randomBytes(32).toString('hex');

const ids = ['north', 'south', 'east', 'west'];
const nodes = await Promise.all(
  ids.map((id) => startNode({ adapter: createMemoryAdapter({ ...deps, id }), token })),
);

const providers = ids.map((id, i) => ({
  id,
  adapter: 'http',
  url: nodes[i].url,
  credentials: { env: { token: 'NODE_TOKEN' } },
}));
const vault = await openVault({
  config: { engine: { default: 'memory' }, providers },
  rootKey: randomBytes(32),
  env: { NODE_TOKEN: token },
  background: 'at once',
});
const { certificate } = await vault.putObject(new Blob(['hello, all of you'], { type: 'text/plain' }), {
  name: 'greeting',
});
console.log(`stored on ${certificate.providers} nodes; any ${certificate.tolerates} may vanish`);

const gateway = await startGateway({ vault });
await nodes[0].close();
const answer = await fetch(`${gateway.url}/n/greeting`);
console.log(`${answer.status} ${answer.headers.get('content-type')}: ${await answer.text()}`);

const layers = {
  ...deps,
  env: { NODE_TOKEN: token },
  callTimeoutMs: 5_000,
  maxAttempts: 1,
  onAttempt() {},
  log() {},
};
const terms = { price: 1, maxConcurrency: 4 };
const catalog = await openCatalog({
  providers: await Promise.all(
    providers.map((provider) =>
      createProvider(
        { ...terms, domain: { provider: provider.id, account: 'mine', region: 'here' }, ...provider },
        layers,
      ),
    ),
  ),
});
for (const { provider, error } of await catalog.probeAll())
  console.log(`${provider} ${error === undefined ? 'answers' : 'is away'}`);

await gateway.close();
await vault.close();
for (const { adapter } of catalog.providers) await adapter.close();
for (const node of nodes) await node.close();
