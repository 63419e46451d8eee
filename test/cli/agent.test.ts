import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Outcome, said, start } from '../helpers/cli.ts';

/** `unlock` and `lock` as a user has them: a vault with a passphrase, and a folder for the agent's socket. */

const PASSPHRASE = 'correct horse';
let folder: string;
let agents: string;

type Environment = Record<string, string>;
const run = (args: readonly string[], env: Environment = {}): Promise<Outcome> =>
  start([...args, '--home', join(folder, 'home')], {
    input: new Uint8Array(0),
    env: { XDG_RUNTIME_DIR: join(folder, 'run'), ...env },
  }).outcome;
const withPassphrase = (args: readonly string[]): Promise<Outcome> =>
  run(args, { HOLDFAST_PASSPHRASE: PASSPHRASE });
const unlock = async (...flags: string[]): Promise<void> => {
  const done = await withPassphrase(['unlock', ...flags]);
  if (done.code !== 0) throw new Error(said(done));
};
const status = async (): Promise<{
  code: number | null;
  unlocked: boolean;
  pid?: number;
  secondsLeft?: number;
}> => {
  const { code, stdout } = await run(['unlock', '--status', '--json']);
  return { code, ...JSON.parse(stdout.toString()) };
};
/** Whether `ls`, which needs the keys, does without a passphrase. */
const opens = async (env?: Environment): Promise<boolean> => {
  const { code, stderr } = await run(['ls'], env);
  if (code !== 0) expect(stderr).toContain('passphrase');
  return code === 0;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hf-agent-'));
  agents = join(folder, 'run', 'holdfast');
  await mkdir(join(folder, 'run'));
  const made = await withPassphrase(['init']);
  if (made.code !== 0) throw new Error(said(made));
});
afterAll(async () => {
  await run(['lock']);
  await rm(folder, { recursive: true, force: true });
});

it('asks for the passphrase once, until it is locked', async () => {
  expect(await status()).toMatchObject({ code: 3, unlocked: false });
  await unlock('--for', '15m');
  expect(await opens()).toBe(true);
  expect(await opens({ HOLDFAST_AGENT: 'off' })).toBe(false);
  const { secondsLeft, ...found } = await status();
  expect(found).toMatchObject({ code: 0, unlocked: true });
  expect(secondsLeft).toBeGreaterThan(600);
  expect(secondsLeft).toBeLessThanOrEqual(900);
  expect((await readdir(agents)).length).toBe(1);
  expect((await run(['lock'])).code).toBe(0);
  expect(await opens()).toBe(false);
  expect(await readdir(agents)).toEqual([]);
});

it('shows no secret where other programs look, and an agent that was killed is replaced', async () => {
  await unlock();
  const pid = (await status()).pid!;
  if (process.platform === 'linux') {
    expect(await readFile(`/proc/${pid}/environ`, 'utf8')).not.toContain('HOLDFAST');
    expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).not.toMatch(/[0-9a-f]{32}/);
    expect(await readFile(`/proc/${pid}/limits`, 'utf8')).toMatch(/Max core file size +0 /);
  }
  process.kill(pid, 'SIGKILL');
  expect(await opens()).toBe(false);
  expect(await status()).toMatchObject({ code: 3, unlocked: false });
  await unlock();
  expect(await opens()).toBe(true);
  expect((await readdir(agents)).length).toBe(1);
});

it('says what it cannot unlock', async () => {
  const off = await run(['unlock'], { HOLDFAST_AGENT: 'off', HOLDFAST_PASSPHRASE: PASSPHRASE });
  expect(said(off)).toMatch(/^2: .*HOLDFAST_AGENT/s);
  const wrong = await run(['unlock'], { HOLDFAST_PASSPHRASE: 'wrong' });
  expect(said(wrong)).toMatch(/^5: .*does not open this key file/s);
  const forEver = await run(['unlock', '--for', '8d']);
  expect(said(forEver)).toMatch(/^2: .*up to 7 d/s);
});
