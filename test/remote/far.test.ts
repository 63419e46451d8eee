import { afterEach, expect, it } from 'vitest';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { CliVault } from '../helpers/cli.ts';
import { type Link, startFaultProxy } from '../helpers/fault-proxy.ts';
import { noise } from '../helpers/vault.ts';
import { deps } from '../providers/deps.ts';
import { serveNode } from './node.ts';

const NEAR_MS = 5;
const FAR_MS = 429;
/** The last of the nine. */
const FAR = 8;
const MIB = 1024 ** 2;

interface Place {
  stored: number;
  read: number;
  readonly port: number;
  setLink(link: Partial<Link>): void;
  close(): Promise<void>;
}

/** A storage node behind a wire of its own; what it takes and gives is counted where it arrives. */
async function placeAt(latencyMs: number, seed: number): Promise<Place> {
  const inner = createMemoryAdapter({ id: `behind ${seed}`, ...deps });
  const counted: BlobAdapter = {
    ...inner,
    store(address, parts, options) {
      place.stored += parts.reduce((sum, { length }) => sum + length, 0);
      return inner.store(address, parts, options);
    },
    fetchRange(address, offset, into, options) {
      const views = Array.isArray(into) ? into : [into];
      place.read += views.reduce((sum: number, { length }: Uint8Array) => sum + length, 0);
      return inner.fetchRange(address, offset, into, options);
    },
  };
  const node = await serveNode(counted);
  const wire = await startFaultProxy(node.port, seed);
  wire.setLink({ latencyMs });
  const place: Place = {
    stored: 0,
    read: 0,
    port: wire.port,
    setLink: wire.setLink,
    async close() {
      await wire.close();
      await node.close();
    },
  };
  return place;
}

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

async function nine(): Promise<readonly Place[]> {
  const latencies = Array.from({ length: 9 }, (_, i) => (i === FAR ? FAR_MS : NEAR_MS));
  const places = await Promise.all(latencies.map((latencyMs, i) => placeAt(latencyMs, i + 1)));
  open.push(...places);
  return places;
}

async function vaultOver(places: readonly Place[]): Promise<CliVault> {
  const tables = places.map(
    ({ port }, i) => `[[providers]]
id = "p${i}"
domain = { provider = "p${i}", account = "test", region = "loopback" }
adapter = "http"
url = "http://127.0.0.1:${port}"
`,
  );
  const vault = await CliVault.create(tables.join('\n'));
  open.push({ close: () => vault.remove() });
  return vault;
}

type Moved = Readonly<Record<'stored' | 'read', readonly number[]>>;

/** What a command, which is a process of its own, moved at each place. */
async function moved(vault: CliVault, places: readonly Place[], args: string[]): Promise<Moved> {
  for (const place of places) Object.assign(place, { stored: 0, read: 0 });
  const { code, stderr } = await vault.run(args, { input: noise(2 * MIB) });
  expect(code, stderr).toBe(0);
  return { stored: places.map(({ stored }) => stored), read: places.map(({ read }) => read) };
}

const put = (name: string): string[] => ['put', '-', '--name', name];
const near = (bytes: readonly number[]): readonly number[] => bytes.toSpliced(FAR, 1);

function expectSpared({ stored, read }: Moved): void {
  if (stored[FAR]! > 0) expect(stored[FAR], `stored ${stored}`).toBeLessThan(0.6 * Math.min(...near(stored)));
  const asked = near(read).reduce((sum, bytes) => sum + bytes, 0);
  if (asked > 0) expect(read[FAR], `read ${read}`).toBeLessThan(asked / 100);
}

/** A busy machine makes what is near seem far for a command or two; it learns better from those that follow. */
async function spared(vault: CliVault, places: readonly Place[], args: string[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await moved(vault, places, ['get', 'b']);
    const now = await moved(vault, places, args);
    try {
      return expectSpared(now);
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

it('spares a provider that is far away, also after a first command to which all seemed far', async () => {
  const places = await nine();
  const vault = await vaultOver(places);
  const nearby = places.toSpliced(FAR, 1);
  for (const place of nearby) place.setLink({ latencyMs: 250 });
  await moved(vault, places, put('a'));
  for (const place of nearby) place.setLink({ latencyMs: NEAR_MS });
  await moved(vault, places, put('b'));
  await spared(vault, places, put('c'));
  await spared(vault, places, ['get', 'a']);
});
