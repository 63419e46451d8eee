import axe from 'axe-core';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { ADMIN, startGateway } from '../gateway/harness.ts';
import { hasBrowser, keepShot, startBrowser } from '../helpers/browser.ts';
import { noise } from '../helpers/vault.ts';

const PHONE = { width: 360, height: 740 };
const DESK = { width: 1280, height: 800 };
const OPEN = { anonymous: ['read', 'admin'] } as const;

describe.runIf(hasBrowser('the explorer page'))('the explorer page', () => {
  let browser: BrowserContext;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser?.close());

  /** A page whose scripts may not fail, nor ask anyone else. */
  async function open(url: string): Promise<Page> {
    const page = await browser.newPage();
    const wrong: string[] = [];
    page.on('pageerror', (error) => wrong.push(String(error)));
    page.on('request', (request) => {
      if (!request.url().startsWith(new URL(url).origin)) wrong.push(`asked ${request.url()}`);
    });
    page.on('console', (message) => {
      if (/Content Security Policy|TrustedHTML/.test(message.text())) wrong.push(message.text());
    });
    onTestFinished(async () => {
      await page.close();
      expect(wrong).toEqual([]);
    });
    await page.goto(url);
    return page;
  }

  /** What axe finds that keeps people out, in both colour schemes and on a phone; and that nothing is cut off at the side. */
  async function expectUsable(page: Page, name: string): Promise<void> {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const [device, viewport] of [['desk', DESK] as const, ['phone', PHONE] as const]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize(viewport);
        await keepShot(page, `${name}-${colorScheme}-${device}`);
        await page.evaluate(axe.source);
        const found = await page.evaluate(async () => {
          const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run();
          return violations
            .filter(({ impact }) => impact === 'serious' || impact === 'critical')
            .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
        });
        expect(found, `${name}, ${colorScheme}, ${device}`).toEqual([]);
        const over = await page.evaluate<number>(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        );
        expect(over, `${name} is wider than the ${device}`).toBeLessThanOrEqual(0);
      }
    }
    await page.setViewportSize(DESK);
  }

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
    vault.gone.add('p1');
    await page.getByRole('button', { name: 'Refresh' }).click();
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
