import { chmod, chown, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { askToForget, hashOfKeyFile, heldSubkeys } from '../../src/cli/agent/client.ts';
import { Keeper } from '../../src/cli/agent/keeper.ts';
import { type AgentPlace, agentPlace, makeFolder } from '../../src/cli/agent/place.ts';
import { type Agent, serveAgent } from '../../src/cli/agent/server.ts';
import { systemClock } from '../../src/core/clock.ts';
import { deriveSubkeys } from '../../src/keys/derivation.ts';

/** The agent's socket: who is answered, with what, and whom a client trusts. */

const ROOT = new Uint8Array(32).fill(9);
const KEY_FILE = '{ "a key": "file" }';
const HOUR = 3_600_000;
let folder: string;
let keyFile: string;
let env: Record<string, string>;
let place: AgentPlace;
let agent: Agent;

const serve = (forMs = HOUR): Promise<Agent> =>
  serveAgent(
    place.socket,
    hashOfKeyFile(KEY_FILE),
    new Keeper(deriveSubkeys(ROOT), forMs, systemClock),
    systemClock,
  );
const held = async (): Promise<boolean> => (await heldSubkeys(env, keyFile)) !== undefined;
const names = (): Promise<string[]> => readdir(place.folder);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hf-agent-'));
  keyFile = join(folder, 'vault.key');
  await writeFile(keyFile, KEY_FILE);
  env = { XDG_RUNTIME_DIR: folder };
  place = await agentPlace(env, keyFile);
  await makeFolder(place);
  agent = await serve();
});
afterEach(async () => {
  agent.end();
  await agent.ended;
  await rm(folder, { recursive: true, force: true });
});

it('hands out subkeys, never the root', async () => {
  expect(await heldSubkeys(env, keyFile)).toEqual(deriveSubkeys(ROOT));
  const question = { agent: 1, ask: 'keys', key_file: hashOfKeyFile(KEY_FILE) };
  const answer = await talk(`${JSON.stringify(question)}\n`);
  expect(Object.keys(JSON.parse(answer).keys).sort()).toEqual(['id', 'name', 'pointer', 'slot', 'wrap']);
  expect(answer).not.toContain(Buffer.from(ROOT).toString('hex'));
});

it('serves no other key file than the one that was unlocked', async () => {
  await writeFile(keyFile, `${KEY_FILE} `);
  expect(await held()).toBe(false);
  await writeFile(keyFile, KEY_FILE);
  expect(await held()).toBe(true);
  const elsewhere = join(folder, 'copy.key');
  await writeFile(elsewhere, KEY_FILE);
  expect(await heldSubkeys(env, elsewhere)).toBeUndefined();
});

it('forgets after its time and when asked to, and leaves nothing', async () => {
  expect(await askToForget(place)).toBe(true);
  await agent.ended;
  expect(await names()).toEqual([]);
  expect(await askToForget(place)).toBe(false);
  agent = await serve(50);
  await agent.ended;
  expect(await names()).toEqual([]);
  expect(await held()).toBe(false);
});

it('takes the place of another, which leaves the new one alone', async () => {
  const later = await serve();
  agent.end();
  await agent.ended;
  expect(await held()).toBe(true);
  agent = later;
});

it('trusts no folder that others can enter, own or replace', async () => {
  const refused = async (why: RegExp): Promise<void> => {
    expect(await held()).toBe(false);
    await expect(makeFolder(place)).rejects.toMatchObject({ code: 'agent_folder_unsafe' });
    await expect(makeFolder(place)).rejects.toThrow(why);
  };
  await chmod(place.folder, 0o750);
  await refused(/others may enter it/);
  await chmod(place.folder, 0o700);
  await chmod(folder, 0o777);
  await refused(/others may replace it/);
  await chmod(folder, 0o1777);
  expect(await held()).toBe(true);
  await rename(place.folder, `${place.folder}.away`);
  await writeFile(place.folder, '');
  await refused(/it is no folder/);
  await rm(place.folder);
  await rename(`${place.folder}.away`, place.folder);
  if (process.geteuid?.() !== 0) return; // only root can give folders away
  await chown(place.folder, 12_345, 12_345);
  await refused(/belongs to another user/);
  await chown(place.folder, 0, 0);
});

it('finds a place with a short path, whatever the environment says', async () => {
  const long = join(folder, 'x'.repeat(90));
  await mkdir(long);
  const own = `holdfast-${process.geteuid?.()}`;
  for (const given of [{ XDG_RUNTIME_DIR: long }, { TMPDIR: long }, { XDG_RUNTIME_DIR: 'run' }]) {
    const { folder: found } = await agentPlace(given, keyFile);
    expect([join(tmpdir(), own), join('/tmp', own)]).toContain(found);
  }
  expect((await agentPlace({ TMPDIR: folder }, keyFile)).folder).toBe(join(folder, own));
  expect(dirname(place.folder)).toBe(folder);
});

it('lets a client go that asks too much, nonsense or in another version, and answers the others', async () => {
  const status = JSON.stringify({ agent: 2, ask: 'status', key_file: '0'.repeat(64) });
  for (const text of ['x'.repeat(1_000_000), '{}\n', '\0\n', `${status}\n`])
    expect(await talk(text)).toBe('');
  const silent = Array.from({ length: 100 }, () => connect(place.socket).on('error', () => {}));
  await Promise.all(silent.map((one) => new Promise((resolve) => one.once('close', resolve))));
  expect(await held()).toBe(true);
});

/** What the agent says to `text`; nothing when it closes instead. */
function talk(text: string): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    const connection = connect(place.socket, () => connection.write(text));
    connection.on('data', (piece) => {
      said += String(piece);
    });
    connection.on('error', () => {});
    connection.on('close', () => resolve(said));
  });
}
