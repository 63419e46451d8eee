import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { absent } from './absent.ts';

const CHROMIUM = process.env.HOLDFAST_CHROMIUM ?? '/usr/bin/chromium';
/** Not in the repository; CI keeps what is in it. */
const SHOTS = resolve(import.meta.dirname, '../../screenshots');

/** Whether there is a browser; where there is none, everyone is told what is not tested. */
export function hasBrowser(untested: string): boolean {
  if (existsSync(CHROMIUM)) return true;
  absent(`${CHROMIUM} is not installed`, untested);
  return false;
}

/** A browser with a profile of its own, which ends with it. */
export async function startBrowser(): Promise<BrowserContext> {
  const profile = await mkdtemp(join(tmpdir(), 'holdfast-browser-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    viewport: { width: 1280, height: 800 },
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  // Its processes may still write a little.
  context.on(
    'close',
    () => void rm(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }).catch(() => {}),
  );
  return context;
}

/** Keeps what a page looks like, for people to look at. */
export async function keepShot(page: Page, name: string): Promise<void> {
  await mkdir(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}
