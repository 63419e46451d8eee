import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { sendRaw } from '../../node/harness.ts';
import { type Case, floods, HIDDEN, pipelines, smuggling, type Target } from './cases.ts';
import { encodings, fields, hostsAndPages, methods, ranges, targets } from './more-cases.ts';
import { gatewayUnderAttack, nodeUnderAttack, type UnderAttack } from './services.ts';

const AT_ONCE = 8;

const casesFor = (target: Target): Case[] => [
  ...smuggling(target),
  ...floods(target),
  ...pipelines(target),
  ...ranges(target),
  ...hostsAndPages(target),
  ...methods(target),
  ...targets(),
  ...fields(target),
];

async function send({ port }: UnderAttack, { bytes, end }: Case) {
  const answer = await sendRaw(port, bytes, { end: end ?? false });
  return {
    status: answer.status,
    answers: (answer.raw.match(/(?<![^\n])HTTP\/1\.1 \d{3} /g) ?? []).length,
    answer,
  };
}

async function attack(service: UnderAttack, cases: readonly Case[]): Promise<void> {
  const wrong: string[] = [];
  const queue = [...cases];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
        const { status, answers, answer } = await send(service, one);
        const { name, status: allowed, answers: most = 1 } = one;
        if (!allowed.includes(status) || answers > most) wrong.push(`${name}: ${status}, ${answers} answers`);
        if (status === 0) continue;
        if (answer.headers['x-content-type-options'] !== 'nosniff') wrong.push(`${name}: no nosniff`);
        if (status >= 400 && !answer.body.toString().startsWith('{"error":"')) wrong.push(`${name}: no JSON`);
      }
    }),
  );
  expect(wrong).toEqual([]);
}

/** Nothing of it is left. */
async function expectUnharmed(service: UnderAttack, log: string): Promise<void> {
  await expect.poll(() => service.metric('inflight')).toBe(0);
  expect(await readFile(log, 'utf8')).not.toContain(HIDDEN);
  expect((await fetch(`${service.url}${service.target.read}`)).status).toBe(200);
  expect(service.running()).toBe(true);
  expect(await service.stop()).toBe(0);
}

it('a node takes whatever comes over a socket, and is none the worse', async () => {
  const service = await nodeUnderAttack();
  const cases = [...casesFor(service.target), ...encodings(service.target)];
  expect(cases.length).toBeGreaterThanOrEqual(300);
  await attack(service, cases);
  await expectUnharmed(service, join(service.home, 'access.log'));
  console.log(`ATTACKS: ${cases.length} raw HTTP cases at a node`);
});

it('so does a gateway', async () => {
  const service = await gatewayUnderAttack();
  const cases = casesFor(service.target);
  await attack(service, cases);
  await expectUnharmed(service, join(service.home, 'access.log'));
  console.log(`ATTACKS: ${cases.length} raw HTTP cases at a gateway`);
});
