import { join } from 'node:path';
import { Level } from 'level';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openVault, type Vault } from '../../../src/index.ts';
import { createFsAdapter } from '../../../src/providers/fs/driver.ts';
import { type AdapterKind, required, text } from '../../../src/providers/index.ts';
import { CliVault, providersToml, SMALL_PIECES } from '../../helpers/cli.ts';
import { blobsIn } from '../../helpers/files.ts';
import { noise, readAll } from '../../helpers/vault.ts';

const IDS = ['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7'];
const SETTINGS = `${SMALL_PIECES}[placement]\nmin_tolerates = 1\n${providersToml(IDS.length)}`;

/** Providers that take every request about slots from now on, and never answer, not even to being stopped. */
const hung = new Set<string>();
/** … or every request to delete a blob. */
const keeping = new Set<string>();
const SLOTS: readonly PropertyKey[] = ['readSlot', 'writeSlot', 'deleteSlot'];

/** Folders, some of which hang. */
const folders: AdapterKind<'folders', { readonly root: string }> = {
  name: 'folders',
  keys: { root: required(text('', /./, 'a path'), 'the folder') },
  open: async ({ id, root }, deps) => {
    const adapter = createFsAdapter({ id, root, ...deps });
    return new Proxy(adapter, {
      get(target, key) {
        const member: unknown = Reflect.get(target, key);
        if (typeof member !== 'function') return member;
        const silent = (): boolean =>
          (SLOTS.includes(key) && hung.has(id)) || (key === 'delete' && keeping.has(id));
        return (...given: unknown[]) =>
          silent() ? new Promise(() => {}) : (member as (...all: unknown[]) => unknown).apply(target, given);
      },
    });
  },
};

let cli: CliVault;
let vault: Vault | undefined;
beforeEach(async () => {
  cli = await CliVault.create(SETTINGS);
});
afterEach(async () => {
  hung.clear();
  keeping.clear();
  await vault?.close();
  vault = undefined;
  await cli.remove();
});

/** The same vault with providers that can be made to hang. */
async function open(): Promise<Vault> {
  vault = await openVault({
    home: cli.home,
    adapters: [folders],
    config: {
      providers: IDS.map((id) => ({ id, adapter: 'folders', root: cli.providerRoot(id) }) as const),
      placement: { minTolerates: 1 },
      retention: { replacedSeconds: 0 },
      limits: { maxWorkers: 1 },
    },
    env: { HOLDFAST_NATIVE: process.env.HOLDFAST_NATIVE },
  });
  return vault;
}

it('providers that hang for ever, wherever in the copies of a name, hold up nothing, and are told once they are back', async () => {
  const names = IDS.map((id) => `with ${id} hung`);
  for (const [i, id] of IDS.entries()) {
    const opened = await open();
    for (const silent of [id, IDS[(i + 1) % IDS.length]!]) hung.add(silent);
    await opened.putObject(noise(3000, i + 1), { name: names[i]! });
    const { nameTolerates, certificate } = await opened.putObject(noise(3000, i + 11), { name: names[i]! });
    expect(nameTolerates).toBeGreaterThanOrEqual(certificate.tolerates);
    expect(await readAll(await opened.getObject(names[i]!))).toEqual(noise(3000, i + 11));
    await opened.putObject(noise(3000, 5), { name: 'removed' });
    await opened.deleteObject('removed');
    await opened.close();
    hung.clear();
  }
  // Whatever one of them missed, any other provider alone may be lost now, and a fresh state knows the latest.
  const opened = await open();
  await opened.gc({ minAgeMs: 0 });
  await opened.close();
  const back = await cli.run(['recover']);
  expect(back.code, back.stderr).toBe(0);
  const listed = await cli.run(['ls']);
  expect(listed.stdout.toString()).toBe(`${names.join('\n')}\n`);
  for (const [i, name] of names.entries()) {
    expect(Buffer.compare((await cli.run(['get', name])).stdout, noise(3000, i + 11))).toBe(0);
  }
});

describe('housekeeping', () => {
  /** What another program, or a disk that rots, may leave. */
  async function leavePoison(): Promise<void> {
    const options = { keyEncoding: 'view', valueEncoding: 'view', compression: false } as const;
    const raw = new Level<Uint8Array, Uint8Array>(join(cli.home, 'engine'), options);
    for (const key of ['journal:00', 'journal:00/0', 'retired:00', 'trash:p1/x', 'slots_due:x']) {
      await raw.put(Buffer.from(key), noise(40));
    }
    await raw.close();
  }

  const blobsAt = async (id: string): Promise<number> => (await blobsIn(cli.providerRoot(id))).length;

  it('is not stopped by a provider that hangs, nor by records that cannot be read', async () => {
    const killed = cli.start(['put', '-', '--name', 'killed']);
    killed.child.stdin.write(noise(500_000, 1));
    await expect.poll(() => blobsAt('p1'), { timeout: 60_000 }).toBeGreaterThan(0);
    killed.child.kill('SIGKILL');
    await killed.outcome;
    await leavePoison();
    const opened = await open();
    keeping.add('p3');
    await opened.putObject(noise(90_000, 2), { name: 'x' });
    await opened.putObject(noise(1000, 3), { name: 'x' });
    await opened.deleteObject('x');
    await opened.gc({ minAgeMs: 86_400_000 });
    for (const id of IDS) if (id !== 'p3') expect(await blobsAt(id), id).toBe(0);
    expect(await blobsAt('p3')).toBeGreaterThan(0);
    await opened.close();
    keeping.clear();
    const again = await open();
    await again.gc({ minAgeMs: 86_400_000 });
    expect(await blobsAt('p3')).toBe(0);
  });
});
