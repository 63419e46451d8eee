import { afterEach, beforeEach, expect, it } from 'vitest';
import { openVault, type Vault } from '../../../src/index.ts';
import { createFsAdapter } from '../../../src/providers/fs/driver.ts';
import { type AdapterKind, required, text } from '../../../src/providers/index.ts';
import { CliVault, providersToml, SMALL_PIECES } from '../../helpers/cli.ts';
import { noise, readAll } from '../../helpers/vault.ts';

const IDS = ['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7'];
const SETTINGS = `${SMALL_PIECES}[placement]\nmin_tolerates = 1\n${providersToml(IDS.length)}`;

/** Providers that take every request about slots from now on, and never answer, not even to being stopped. */
const hung = new Set<string>();
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
        if (typeof member !== 'function' || !SLOTS.includes(key)) return member;
        return (...given: unknown[]) =>
          hung.has(id)
            ? new Promise(() => {})
            : (member as (...all: unknown[]) => unknown).apply(target, given);
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
