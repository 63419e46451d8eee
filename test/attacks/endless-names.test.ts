import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { CliVault, providersToml, SLOW, said } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

/** A storage node that names one slot after the other, in order and for ever, and has something in each. */
async function startEndlessNames(): Promise<{ readonly port: number; asked(): number }> {
  let asked = 0;
  let name = 0;
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://node');
    const json = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (request.method !== 'GET') return json(503, {});
    if (pathname === '/slots') {
      const count = Number(searchParams.get('limit') ?? 100);
      const names = Array.from({ length: count }, () => (++name).toString(16).padStart(64, '0'));
      return json(200, { names, next: names.at(-1) });
    }
    if (!pathname.startsWith('/slots/')) return json(404, {});
    asked++;
    response.writeHead(200, { etag: '"1"', 'content-type': 'application/octet-stream' });
    response.end(noise(300, asked));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, asked: () => asked };
}

it.runIf(SLOW)('a provider that names slots for ever ends no recovery', { timeout: 240_000 }, async () => {
  const liar = await startEndlessNames();
  const table = `[[providers]]\nid = "liar"\nadapter = "http"\nurl = "http://127.0.0.1:${liar.port}"\n`;
  const vault = await CliVault.create(`${table}\n${providersToml(6)}`);
  onTestFinished(() => vault.remove());
  for (const name of ['x', 'y']) {
    const put = await vault.run(['put', '-', '--name', name], { input: noise(5000) });
    expect(put.code, said(put)).toBe(0);
  }
  const started = performance.now();
  const recovered = await vault.run(['recover', '--json']);
  const seconds = (performance.now() - started) / 1000;
  const result = JSON.parse(recovered.stdout.toString());
  expect(result, said(recovered)).toMatchObject({ names: 2, lost: [] });
  expect(result.unconfirmed.providers).toMatchObject([
    { id: 'liar', why: expect.stringContaining('on and on') },
  ]);
  expect(recovered.code).toBe(4);
  expect(recovered.peakRssBytes).toBeLessThan(512 * 1024 ** 2);
  console.log(`endless names: heard no further after ${seconds.toFixed(0)} s and ${liar.asked()} slots`);
});
