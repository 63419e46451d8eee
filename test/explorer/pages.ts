import axe from 'axe-core';
import type { BrowserContext, Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';
import { keepShot } from '../helpers/browser.ts';

const PHONE = { width: 360, height: 740 };
const DESK = { width: 1280, height: 800 };

/** A page whose scripts may not fail, nor ask anyone else. */
export async function openPage(browser: BrowserContext, url: string, service = url): Promise<Page> {
  const page = await browser.newPage();
  const wrong: string[] = [];
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(service).origin)) wrong.push(`asked ${request.url()}`);
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
export async function expectUsable(page: Page, name: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [device, viewport] of [['desk', DESK] as const, ['phone', PHONE] as const]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(viewport);
      await keepShot(page, `${name}-${colorScheme}-${device}`);
      const over = await page.evaluate<number>(
        'document.documentElement.scrollWidth - document.documentElement.clientWidth',
      );
      expect(over, `${name} is wider than the ${device}`).toBeLessThanOrEqual(0);
      // What axe looks at depends on the one or the other.
      if ((colorScheme === 'dark') !== (device === 'phone')) continue;
      await page.evaluate(axe.source);
      const found = await page.evaluate(async () => {
        const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run();
        return violations
          .filter(({ impact }) => impact === 'serious' || impact === 'critical')
          .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      });
      expect(found, `${name}, ${colorScheme}, ${device}`).toEqual([]);
    }
  }
  await page.setViewportSize(DESK);
}
