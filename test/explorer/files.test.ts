import { readdir, readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { PAGE_FILES } from '../../src/explorer/page.ts';
import { startGateway } from '../gateway/harness.ts';

const WEB = new URL('../../web/', import.meta.url);

it('every file of the page is served, as what it is, and nothing else', async () => {
  const names = await readdir(WEB);
  expect([...PAGE_FILES.keys()].sort()).toEqual(names.sort());
  const { url } = await startGateway();
  for (const [name, contentType] of PAGE_FILES) {
    const answer = await fetch(`${url}/web/${name}`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, contentType]);
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(await readFile(new URL(name, WEB)));
  }
  expect((await fetch(`${url}/web/package.json`)).status).toBe(404);
});

it('the page may load and ask nothing but its own service, and be framed by nobody', async () => {
  const { url } = await startGateway();
  const answer = await fetch(url);
  const policy = answer.headers.get('content-security-policy')!.split('; ');
  expect(policy).toEqual(
    expect.arrayContaining([
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self' data:",
      "connect-src 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
      "require-trusted-types-for 'script'",
    ]),
  );
  expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
});

it('a gateway that serves a site has no page: scripts of others have its origin', async () => {
  const { url } = await startGateway({ static: true });
  expect((await fetch(url)).status).toBe(404);
  expect((await fetch(`${url}/web/explorer.js`)).status).toBe(404);
});

it('nothing of the page takes markup from data', async () => {
  for (const name of await readdir(WEB)) {
    const text = await readFile(new URL(name, WEB), 'utf8');
    expect(text, name).not.toMatch(
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|\sstyle="/,
    );
    expect(text.split('\n').length, name).toBeLessThanOrEqual(350);
  }
});
