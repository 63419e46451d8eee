import { parseArgs } from 'node:util';
import { serve } from '@hono/node-server';
import { openVault } from 'holdfast';
import { createApp } from './app.mjs';

const { values } = parseArgs({
  options: { home: { type: 'string' }, port: { type: 'string', default: '7790' } },
});
const vault = await openVault({ home: values.home });
const server = serve(
  { fetch: createApp(vault).fetch, hostname: '127.0.0.1', port: Number(values.port) },
  ({ port }) => console.log(`http://127.0.0.1:${port}/uploads`),
);
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => server.close(() => vault.close()));
}
