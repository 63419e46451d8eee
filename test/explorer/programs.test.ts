import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { CliVault, said } from '../helpers/cli.ts';
import { startService } from '../helpers/services.ts';
import { noise } from '../helpers/vault.ts';

const TOKEN = 'token-of-an-operator';

describe('the page of a program', { timeout: 120_000 }, () => {
  let vault: CliVault;
  let manifest: string;
  beforeAll(async () => {
    vault = await CliVault.create();
    const put = await vault.run(['put', '-', '--name', 'a/b', '--json'], { input: noise(300_000) });
    expect([put.code, said(put)]).toEqual([0, expect.anything()]);
    manifest = (JSON.parse(String(put.stdout)) as { manifest: string }).manifest;
    return () => vault.remove();
  });

  for (const program of ['gateway', 'daemon']) {
    it(`is served by a ${program}, with all that it shows, to who has the token`, async () => {
      const service = await startService([program, ...vault.flags, '--token', TOKEN]);
      onTestFinished(async () => void (await service.stop()));
      const page = await fetch(service.url);
      expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
      const files = [...(await page.text()).matchAll(/(?:href|src)="(web\/[^"]+)"/g)].map(
        ([, path]) => path!,
      );
      expect(files).toContain('web/explorer.js');
      for (const path of files) expect((await fetch(`${service.url}/${path}`)).status, path).toBe(200);
      const ask = async (path: string): Promise<unknown> => {
        const url = `${service.url}/storage/${path}`;
        expect((await fetch(url)).status, path).toBe(401);
        const answer = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } });
        expect(answer.status, path).toBe(200);
        return answer.json();
      };
      expect(await ask('overview')).toMatchObject({
        objects: { total: 1, unknown: 0, bySurvival: [{ tolerates: 3, count: 1 }] },
        without: [],
      });
      expect(await ask('objects')).toMatchObject({ objects: [{ manifest, name: 'a/b', version: 1 }] });
      expect(await ask(`object?manifest=${manifest}`)).toMatchObject({ size: 300_000, tolerates: 3 });
      expect(await ask(`shard-map?manifest=${manifest}&without=p1&without=p2`)).toMatchObject({
        now: { certificate: { tolerates: 3 } },
        after: { certificate: { tolerates: 1 }, lostChunks: 0 },
      });
      expect(await ask('providers')).toMatchObject({ providers: { length: 9 } });
      expect(await ask('checks')).toMatchObject({ damage: { rows: [] }, waiting: { rows: [] } });
      expect(await ask('settings')).toMatchObject({
        policy: { erasure: { algorithm: 'lrc', fallbackAllowed: false } },
        writes: { code: 'lrc(16+5+3+3w)' },
        engines: { default: 'level' },
      });
    });
  }

  it('needs no token on this machine where there is none, and refuses pages of other sites', async () => {
    const service = await startService(['daemon', ...vault.flags]);
    expect((await fetch(`${service.url}/storage/overview`)).status).toBe(200);
    const foreign = { origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' };
    expect((await fetch(`${service.url}/storage/overview`, { headers: foreign })).status).toBe(403);
    expect((await fetch(service.url, { headers: foreign })).status).toBe(403);
  });
});
