import { readFile } from 'node:fs/promises';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlobAddress } from '../../src/core/address.ts';
import { ADMIN, READER, startGateway } from '../gateway/harness.ts';
import { hasBrowser, startBrowser } from '../helpers/browser.ts';
import { noise } from '../helpers/vault.ts';
import { makeLively, someEpochs, someProviders, someRepairs } from './lively.ts';
import { rememberMany } from './many.ts';
import { expectUsable, openPage } from './pages.ts';

const OPEN = { anonymous: ['read', 'admin'] } as const;

describe.runIf(hasBrowser('the explorer page'))('the explorer page', () => {
  let browser: BrowserContext;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser?.close());

  const open = (url: string, service = url): Promise<Page> => openPage(browser, url, service);
  const heading = (page: Page): Promise<string | null> => page.locator('h1').textContent();

  it('shows how many objects survive how many losses', async () => {
    const { put, url, vault } = await startGateway(OPEN);
    for (let i = 0; i < 3; i++) await put(noise(5000 + i, i + 1), { name: `maps/${i}` });
    await put(noise(10, 9), { name: 'small' });
    const page = await open(url);
    const row = page.locator('tbody tr', { hasText: 'any 3 providers' });
    await row.waitFor();
    console.log(`time to first view: ${Math.round(await firstView(page))} ms`);
    expect(await heading(page)).toBe('Overview');
    expect(await page.title()).toBe('Overview · Holdfast');
    await expectUsable(page, 'overview');
    for (let i = 1; i <= 9; i++) vault.gone.add(`p${i}`);
    await page.getByRole('button', { name: 'Refresh' }).click();
    // They do not answer, which is not to be lost.
    await page.getByText('losses: it is not readable now').waitFor();
    expect(await page.locator('main').textContent()).not.toMatch(/\blost\b(?! providers)/);
  });

  it('lists objects whatever their names are, and no name becomes markup or turns the page round', async () => {
    const { put, url } = await startGateway({ ...OPEN, vault: { replacedMs: 3_600_000 } });
    await put(noise(300_000, 7), {
      name: '<script>document.title="taken"</script><img src=x onerror=alert(1)>',
    });
    await put(noise(5000, 2), { name: 'invoice\u202egnp.exe', contentType: 'image/png' });
    await put(noise(5000, 3), { name: 'שלום/مرحبا' });
    await put(noise(5000, 4), { name: `long/${'x'.repeat(1000)}` });
    await put(noise(5000, 5), { name: 'maps/zürich.png' });
    await put(noise(6000, 6), { name: 'maps/zürich.png' });
    await put(noise(5000, 8));
    const page = await open(`${url}/#/objects`);
    const link = page.getByRole('link', { name: '<script>' });
    await link.waitFor();
    expect(await page.title()).toBe('Objects · Holdfast');
    expect(await page.locator('main img, main script').count()).toBe(0);
    expect(await page.getByText('invoice\\u{202e}gnp.exe').count()).toBe(1);
    expect(await page.getByText('version 2').count()).toBe(1);
    expect(await page.getByText('replaced').count()).toBe(1);
    await expectUsable(page, 'objects');
    await page.getByLabel('Name begins with').fill('maps/');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('tbody tr').count()).toBe(1);
    await page.getByRole('link', { name: 'maps/zürich.png' }).click();
    await page.getByRole('heading', { name: 'Versions of its name' }).waitFor();
    await expect.poll(() => page.getByText('(this one)').count()).toBe(1);
  });

  it('shows where shards are, and what remains when providers are taken away', async () => {
    const { put, url, vault } = await startGateway(OPEN);
    const manifest = await put(noise(3_000_000), { name: 'film.mp4', contentType: 'video/mp4' });
    const page = await open(`${url}/#/object/${manifest}`);
    const verdict = page.locator('.verdict');
    await expect.poll(() => verdict.textContent()).toContain('survives the loss of any 3 of 9 providers');
    expect(await verdict.textContent()).toMatch(/Losing all of .* would be fatal/);
    expect(await verdict.textContent()).not.toContain('too');
    expect(await page.locator('.grid tbody .shard.on').count()).toBe(27);
    await expectUsable(page, 'object');
    const take = (id: string) => page.getByRole('button', { name: id, exact: true }).click();
    await take('p1');
    await expect.poll(() => verdict.textContent()).toContain('survives the loss of any 2 of 8 providers');
    await take('p2');
    await take('p3');
    await expect.poll(() => verdict.textContent()).toMatch(/Without 3 more providers: it can be read/);
    expect(await page.locator('#announcements').textContent()).toMatch(/Without 3 more providers/);
    await expectUsable(page, 'taken');
    // The same keys as the mouse, and the focus stays.
    await page.getByRole('button', { name: 'p4', exact: true }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'p5', exact: true }).focus();
    await page.keyboard.press('Space');
    await expect.poll(() => verdict.textContent()).toMatch(/ of \d+ cannot be decoded\.$/);
    expect(await page.evaluate('document.activeElement.dataset.key')).toBe('take p5');
    await page.getByRole('button', { name: 'Put all back' }).click();
    await expect.poll(() => verdict.textContent()).toContain('any 3 of 9 providers');
    // What really vanishes is told too.
    vault.gone.add('p9');
    await page.getByRole('button', { name: 'Refresh' }).click();
    await expect.poll(() => verdict.textContent()).toContain('survives the loss of any 2 of 8 providers');
  });

  it('pages through 10,000 objects, and finds those that survive little', async () => {
    const { put, url, vault } = await startGateway(OPEN);
    await rememberMany(vault, await put(noise(5000)), 9_999);
    const page = await open(url);
    await page.getByText('10,000').first().waitFor();
    console.log(`time to first view of 10,000 objects: ${Math.round(await firstView(page))} ms`);
    await page.getByRole('link', { name: 'any 3 providers' }).click();
    await expect.poll(() => page.locator('tbody tr').count()).toBe(50);
    const first = await page.locator('tbody tr a').first().getAttribute('href');
    for (let i = 2; i <= 4; i++) {
      await page.getByRole('link', { name: 'Older' }).click();
      await page.getByText(`Page ${i}`).waitFor();
      await expect.poll(() => page.locator('tbody tr').count()).toBe(50);
    }
    await expectUsable(page, 'many');
    for (let i = 3; i >= 1; i--) {
      await page.getByRole('link', { name: 'Newer' }).click();
      await page.getByText(`Page ${i}`, { exact: true }).waitFor();
    }
    await expect.poll(() => page.locator('tbody tr a').first().getAttribute('href')).toBe(first);
    await page.getByLabel('Show').selectOption('0');
    await page.getByText('No object is like this.').waitFor();
  });

  it('shows each provider with what was measured, its room, and why it gets no shards', async () => {
    const { url } = await startGateway({ ...OPEN, providers: () => someProviders(Date.now()) });
    const page = await open(`${url}/#/providers`);
    const row = page.locator('tbody tr', { hasText: 'loses 62 % of its probes' });
    await row.waitFor();
    expect(await row.locator('td').allTextContents()).toEqual(
      expect.arrayContaining(['479 ms', '62 %', '71 %', '29.0 MiB/s', '1.0 MiB', '569 MiB', '7 · 41 · 0']),
    );
    expect(await page.getByText('timeout: the probe took longer than 5000 ms').count()).toBe(1);
    await expectUsable(page, 'providers');
  });

  it('shows what was repaired, read back and audited, with errors and when it is tried again', async () => {
    let manifest: BlobAddress | undefined;
    const { put, url, vault } = await startGateway({
      ...OPEN,
      history: async function* () {
        if (manifest !== undefined) yield* someRepairs(manifest, Date.now());
      },
    });
    const page = await open(`${url}/#/history`);
    await page.getByText('Nothing was repaired or moved yet.').waitFor();
    manifest = await put(noise(100_000));
    await makeLively(vault, manifest);
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByText('undecodable: 15 of 16 shards were read').waitFor();
    expect(await page.getByText('in 4 min').count()).toBe(1);
    expect(await page.getByText('2 of 30').count()).toBe(1);
    expect(await page.getByText('9 findings').count()).toBe(1);
    expect(await page.getByText('1 provider silent').count()).toBe(1);
    expect(await page.getByRole('row', { name: /p4 corrupt all audit/ }).count()).toBe(1);
    await expectUsable(page, 'history');
    // What the reader has opened stays open.
    const older = page.locator('details').nth(1);
    await older.locator('summary').click();
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByText(/^As of/).waitFor();
    await expect.poll(() => older.getAttribute('open')).not.toBeNull();
  });

  it('shows the policy and the engines in force', async () => {
    const { url } = await startGateway(OPEN);
    const page = await open(`${url}/#/settings`);
    await page.getByText('permitted by the emergency switch').waitFor();
    expect(await page.getByRole('row', { name: 'default memory' }).count()).toBe(1);
    await expectUsable(page, 'settings');
  });

  it('says that receipts are off where none are kept', async () => {
    const { url } = await startGateway(OPEN);
    const page = await open(`${url}/#/receipts`);
    await page.getByText('Receipts are off here.').waitFor();
    await expectUsable(page, 'receipts-off');
  });

  it('shows receipts by the hour, and has the proof of one kept as a file', async () => {
    const { url } = await startGateway(OPEN);
    const page = await open('about:blank', url);
    const asked: string[] = [];
    await page.route('**/storage/receipts**', (route) => {
      const { pathname, search } = new URL(route.request().url());
      asked.push(search);
      if (pathname.endsWith('/proof'))
        return route.fulfill({ body: 'the proof', contentType: 'application/cbor' });
      return route.fulfill({ json: { epochs: someEpochs(499_000) } });
    });
    await page.goto(`${url}/#/receipts`);
    await page.getByText('closed, not anchored yet').waitFor();
    expect(await page.getByText('depth 14').count()).toBe(1);
    await page.getByText('2 providers').first().click();
    await expectUsable(page, 'receipts');
    await page.getByLabel('Id of the receipt').fill('a'.repeat(64));
    await page.getByLabel('Epoch', { exact: true }).selectOption('498998');
    // What was given stays when the page asks again.
    const before = asked.length;
    await page.getByRole('button', { name: 'Refresh' }).click();
    await expect.poll(() => asked.length).toBeGreaterThan(before);
    await expect.poll(() => page.getByText('Asking…').count()).toBe(0);
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download the proof' }).click(),
    ]);
    expect(file.suggestedFilename()).toBe(`498998-${'a'.repeat(16)}.proof`);
    expect(await readFile((await file.path())!, 'utf8')).toBe('the proof');
    expect(asked.at(-1)).toBe(`?epoch=498998&id=${'a'.repeat(64)}`);
  });

  it('says so when nothing is stored', async () => {
    const { url } = await startGateway(OPEN);
    const page = await open(url);
    await page.getByText('Nothing is stored yet.').waitFor();
    await expectUsable(page, 'empty');
  });

  it('asks for a token, keeps it out of the address, and forgets it when told to', async () => {
    const { put, url } = await startGateway();
    await put(noise(5000));
    const page = await open(url);
    await page.getByRole('heading', { name: 'A token is needed' }).waitFor();
    await expectUsable(page, 'token');
    await page.getByLabel('Token').fill(ADMIN);
    await page.keyboard.press('Enter');
    await page.getByText('Objects by losses still survivable').waitFor();
    expect(page.url()).not.toContain(ADMIN);
    await page.reload();
    await page.getByText('Objects by losses still survivable').waitFor();
    await page.getByRole('button', { name: 'Forget the token' }).click();
    await page.getByRole('heading', { name: 'A token is needed' }).waitFor();
    expect(await page.evaluate('[sessionStorage.length, localStorage.length]')).toEqual([0, 0]);
  });

  it('tells a token that may read but not see this from none, and a gateway without a key from both', async () => {
    const { put, url, vault } = await startGateway();
    await put(noise(5000), { name: 'secret' });
    const page = await open(`${url}/#/objects`);
    await page.getByLabel('Token').fill(READER);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'The token may not see this' }).waitFor();
    const sealed = await startGateway({ ...OPEN, sealed: true, over: vault });
    const without = await open(`${sealed.url}/#/objects`);
    await without.locator('tbody tr a').waitFor();
    expect(await without.getByText('secret').count()).toBe(0);
    await without.getByLabel('Name begins with').fill('sec');
    await without.keyboard.press('Enter');
    await without.getByRole('heading', { name: 'The service has no key' }).waitFor();
  });

  it('says so when an answer takes too long, and asks ever more seldom', async () => {
    const { url } = await startGateway(OPEN);
    const page = await open('about:blank', url);
    await page.clock.install();
    let asked = 0;
    await page.route('**/storage/**', () => {
      asked++;
    });
    await page.goto(url);
    await expect.poll(() => asked).toBe(3);
    await page.clock.fastForward(16_000);
    await page.getByRole('heading', { name: 'The service took too long' }).waitFor();
    await page.getByText('Asks again every 20 s.').waitFor();
    await expectUsable(page, 'late');
    await page.clock.fastForward(21_000);
    await expect.poll(() => asked).toBe(6);
    await page.clock.fastForward(16_000);
    await page.getByText('Asks again every 40 s.').waitFor();
  });

  it('asks nothing while nobody sees it or it is paused, and at once when it is seen again', async () => {
    const { url } = await startGateway(OPEN);
    const page = await open('about:blank', url);
    await page.clock.install();
    let asked = 0;
    page.on('request', (request) => {
      if (request.url().includes('/storage/overview')) asked++;
    });
    await page.goto(url);
    await page.getByText('Nothing is stored yet.').waitFor();
    const hide = (hidden: boolean): Promise<unknown> =>
      page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));`);
    await hide(true);
    await page.clock.fastForward(600_000);
    expect(asked).toBe(1);
    await hide(false);
    await expect.poll(() => asked).toBe(2);
    await page.getByText('Asks again every 10 s.').waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.clock.fastForward(600_000);
    await page.getByText('Paused.').waitFor();
    expect(asked).toBe(2);
    await page.getByRole('button', { name: 'Go on' }).click();
    await expect.poll(() => asked).toBe(3);
  });

  it('is worked with the keyboard alone', async () => {
    const { put, url } = await startGateway(OPEN);
    await put(noise(5000), { name: 'a' });
    const page = await open(url);
    await page.getByText('Objects by losses still survivable').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    expect(await page.evaluate('document.activeElement.id')).toBe('content');
    await page.getByRole('link', { name: 'Objects', exact: true }).focus();
    await page.keyboard.press('Enter');
    // The heading of the new view has the focus, and is said.
    await expect.poll(() => page.evaluate('document.activeElement.textContent')).toBe('Objects');
    expect(await page.locator('#announcements').textContent()).toBe('Objects');
    await page.getByRole('link', { name: 'a', exact: true }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'p1', exact: true }).waitFor();
  });

  it('says what to do when the gateway is away, and goes on when it is back', async () => {
    const { url } = await startGateway(OPEN);
    const page = await open(url);
    await page.getByText('Nothing is stored yet.').waitFor();
    await page.route('**/storage/**', (route) => route.abort('connectionrefused'));
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByRole('heading', { name: 'The service does not answer' }).waitFor();
    // What was shown stays.
    expect(await page.getByText('Nothing is stored yet.').count()).toBe(1);
    await expectUsable(page, 'away');
    await page.unroute('**/storage/**');
    await page.getByRole('button', { name: 'Refresh' }).click();
    await expect.poll(() => page.getByText('The service does not answer').count()).toBe(0);
  });
});

/** From the start of the navigation until the first view stands. */
const firstView = (page: Page): Promise<number> =>
  page.evaluate(() => performance.getEntriesByName('holdfast-view')[0]?.startTime ?? Number.NaN);
