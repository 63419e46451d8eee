import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Outcome, type RunOptions, start } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';
import { Anvil, anvilProgram, KEYS } from '../receipts/anchors/anvil.ts';

let home: string;
const runCli = (args: readonly string[], options?: RunOptions): Promise<Outcome> =>
  start(args, options).outcome;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-cli-anchor-'));
});
afterEach(() => rm(home, { recursive: true }));

const providers = ['x', 'y', 'z'].map(
  (id) => `[[providers]]\nid = "${id}"\nadapter = "fs"\nroot = "at/${id}"\n`,
);
const env = (more: Readonly<Record<string, string>> = {}): RunOptions => ({
  env: { HOLDFAST_HOME: home, HOLDFAST_PASSPHRASE: 'words', ...more },
});
const configure = (anchor: string): Promise<void> =>
  writeFile(join(home, 'storage.toml'), `[anchor]\n${anchor}\n${providers.join('\n')}`);

test('what the program puts is in the log, is proven from it, and is verified from copied files alone', async () => {
  await configure('kind = "local"\norigin = "log.example/mine"');
  expect((await runCli(['init'], env())).code).toBe(0);
  await writeFile(join(home, 'object'), noise(5_000));
  const put = JSON.parse(String((await runCli(['put', join(home, 'object'), '--json'], env())).stdout));
  const status = await runCli(['anchor', 'status', '--json'], env());
  const { key, ...log } = JSON.parse(String(status.stdout));
  expect(log).toMatchObject({ kind: 'local', origin: 'log.example/mine', size: 1, unsigned: 0 });
  const proof = join(home, 'root.tlog-proof');
  expect((await runCli(['anchor', 'prove', put.manifest, '--out', proof], env())).code).toBe(0);
  const proven = await runCli(['anchor', 'verify', proof, '--key', key, '--json']);
  expect(JSON.parse(String(proven.stdout))).toMatchObject({ kind: 'blob', key: put.manifest, total: 5_000 });
  const copy = join(home, 'copy');
  await cp(join(home, 'anchor/public'), copy, { recursive: true });
  expect((await runCli(['anchor', 'verify', copy, '--key', key])).code).toBe(0);
  const entries = await readFile(join(copy, 'tile/entries/000.p/1'));
  entries[20]! ^= 1;
  await writeFile(join(copy, 'tile/entries/000.p/1'), entries);
  const damaged = await runCli(['anchor', 'verify', copy]);
  expect(damaged.code).toBe(5);
  expect(damaged.stderr).toContain('000.p/1');
  expect((await runCli(['anchor', 'verify', join(home, 'at')])).code).toBe(3);
}, 60_000);

const program = anvilProgram('a contract that the program makes');
test.skipIf(program === undefined)(
  'the program makes a contract, and puts roots into it',
  async () => {
    const chain = await Anvil.start(program!);
    try {
      await chain.ask('evm_setAutomine', true);
      const account = env({ HOLDFAST_ANCHOR_KEY: KEYS[0] });
      await configure(`url = "${chain.url}"`);
      expect((await runCli(['init'], env())).code).toBe(0);
      expect((await runCli(['anchor', 'deploy'], env())).stderr).toContain('HOLDFAST_ANCHOR_KEY');
      const made = JSON.parse(String((await runCli(['anchor', 'deploy', '--json'], account)).stdout));
      const chainOf = `kind = "evm"\nurl = "${chain.url}"\nchain_id = ${made.chainId}`;
      await configure(`${chainOf}\ncontract = "${made.contract}"\nconfirmations = 1`);
      expect((await runCli(['anchor', 'status'], account)).code).toBe(0);
      await writeFile(join(home, 'object'), noise(5_000));
      const put = await runCli(['put', join(home, 'object')], account);
      expect(put.code).toBe(0);
      const logs = await chain.ask<unknown[]>('eth_getLogs', { address: made.contract, fromBlock: '0x0' });
      expect(logs).toHaveLength(1);
      await configure(`${chainOf}\ncontract = "0x${'1'.repeat(40)}"`);
      const wrong = await runCli(['anchor', 'status'], account);
      expect(wrong.code).toBe(2);
      expect(wrong.stderr).not.toContain(KEYS[0]);
    } finally {
      await chain.stop();
    }
  },
  60_000,
);
