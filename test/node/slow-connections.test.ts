import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { absent } from '../helpers/absent.ts';
import { noise } from '../helpers/vault.ts';
import { addressFor, startNode, type TestNode } from './harness.ts';

const CONNECTIONS = process.env.SLOW === '1' ? 1_000 : 300;
const large = noise(1024 * 1024, 31);
const small = noise(64 * 1024, 32);

function installed(): boolean {
  if (spawnSync('slowhttptest', ['-h'], { stdio: 'ignore' }).error === undefined) return true;
  absent('slowhttptest is not installed', 'slow connections');
  return false;
}

/** Opens connections that are slow on purpose. @returns what it said so far */
function attack(args: readonly string[]): () => string {
  const flags = ['-c', String(CONNECTIONS), '-r', '500', '-l', '60', '-v', '1', '-p', '20'];
  const child: ChildProcess = spawn('slowhttptest', [...flags, ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let said = '';
  child.stdout!.on('data', (text: Buffer) => {
    said += String(text);
  });
  return () => said;
}

/** How many connections it has open, or had cut off, as it last said; every five seconds it does. */
function opened(said: string): number {
  const plain = stripVTControlCharacters(said);
  const last = (word: string): number =>
    Number([...plain.matchAll(new RegExp(`${word}:\\s+(\\d+)`, 'g'))].at(-1)?.[1] ?? 0);
  return last('connected') + last('error') + last('closed');
}

const ATTACKS: Record<string, (node: TestNode) => string[]> = {
  'slow headers': (node) => ['-H', '-i', '1', '-u', `${node.url}/`],
  'slow bodies': (node) => ['-B', '-i', '1', '-s', '8192', '-t', 'POST', '-u', `${node.url}/o`],
  'slow reading': (node) => [
    ...'-X -w 10 -y 20 -n 1 -z 32 -u'.split(' '),
    `${node.url}/o/${addressFor(large)}`,
  ],
};

async function withstands(what: string, args: (node: TestNode) => string[]): Promise<void> {
  const node = await startNode({ anonymous: ['read', 'write'] });
  for (const blob of [large, small]) await node.adapter.store(addressFor(blob), [blob]);
  const said = attack(args(node));
  let answers = 0;
  for (
    const end = Date.now() + 60_000;
    Date.now() < end && (opened(said()) < CONNECTIONS || answers < 50);
    await sleep(answers < 50 ? 0 : 100)
  ) {
    const answer = await fetch(`${node.url}/o/${addressFor(small)}`);
    expect(answer.status, what).toBe(200);
    expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), small), what).toBe(0);
    answers++;
  }
  expect(opened(said()), what).toBeGreaterThanOrEqual(CONNECTIONS);
  expect(answers, what).toBeGreaterThanOrEqual(50);
}

describe.skipIf(!installed())('connections that are slow on purpose', () => {
  // All at once, for what the attacker says comes every five seconds only.
  it('with headers, bodies or reading take nothing from clients that are not', async () => {
    await Promise.all(Object.entries(ATTACKS).map(([what, args]) => withstands(what, args)));
  });
});
