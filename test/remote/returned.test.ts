import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import { internalsOf } from '../../src/vault/opened-vault.ts';
import { noise, readAll } from '../helpers/vault.ts';
import { blake3 } from '../providers/deps.ts';
import { startServer } from '../servers/servers.ts';
import { openOver } from './vaults.ts';

/** Its circuit opens at the fifth failure; more are not asked for. */
const MAX_FAILURES = 20;
/** A machine that stands still for the whole pause of a circuit may need another round. */
const ROUNDS = 10;
const nowhere = addressOf(blake3.hash(noise(10)));

const server = await startServer('nginx-dav');
const home = await mkdtemp(join(tmpdir(), 'holdfast-returned-'));
afterAll(async () => {
  await server?.stop();
  await rm(home, { recursive: true, force: true });
});

it.skipIf(server === undefined)(
  'a server that was killed and is back is read from at once, by the process that saw it fail',
  async () => {
    const places = [
      { id: 'here', domain: 'here', keys: 'adapter = "memory"' },
      { id: 'nginx', domain: 'nginx', keys: `adapter = "webdav"\nurl = "http://127.0.0.1:${server!.port}/"` },
    ];
    const vault = await openOver(home, places, '[limits]\nmax_attempts = 1\n[placement]\nmin_tolerates = 0');
    const object = noise(300_000);
    const get = async (): Promise<unknown> =>
      readAll(await vault.getObject('x')).catch((error: unknown) => error);
    const { adapter } = internalsOf(vault).context.directory.get('nginx')!;
    const isOpen = () =>
      adapter.exists(nowhere).then(
        () => false,
        (error: { code?: unknown }) => error.code === 'circuit_open',
      );

    await vault.putObject(object, { name: 'x' });
    let proven = false;
    for (let round = 0; round < ROUNDS && !proven; round++) {
      await server!.kill();
      for (let i = 0; i < MAX_FAILURES && !(await isOpen()); i++);
      // Neither half of the shards decodes alone.
      expect(await get()).toMatchObject({ kind: 'Unavailable', code: 'undecodable' });
      await server!.restart();
      proven = await isOpen();
      const read = await get();
      expect(read).toBeInstanceOf(Uint8Array);
      expect(Buffer.compare(read as Uint8Array, object)).toBe(0);
      expect(await isOpen()).toBe(false);
    }
    expect(proven).toBe(true);
    await vault.close();
  },
);
