import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { isHoldfastError } from '../../../src/core/errors.ts';
import { openVault, type Vault } from '../../../src/index.ts';
import { internalsOf } from '../../../src/vault/opened-vault.ts';
import { CliVault, IDS, providersToml, SLOW, SMALL_PIECES, said } from '../../helpers/cli.ts';
import { blobsIn, vanish } from '../../helpers/files.ts';
import { placeNow, segmentsNow, toleratesNow } from '../../helpers/moving.ts';
import { noise } from '../../helpers/vault.ts';

/** Of nine providers each chunk has seven: without one there is room for all. So slow that it can be killed in the middle. */
const CONFIG = `${SMALL_PIECES}
[erasure]
data_shards = 4
local_parity = 2
global_parity = 1
[fountain]
kind = "none"
shards = 0
[repair]
bytes_per_second = "${SLOW ? 128 : 64} KiB"
`;
const KILLS = SLOW ? 5 : 2;
const FROM = 'p3';
const OBJECTS: Readonly<Record<string, Uint8Array>> = {
  big: noise(SLOW ? 6_000_000 : 1_500_000, 1),
  other: noise(400_000, 2),
  small: noise(3_000, 3),
};

/** What goes on beside it, until it is over. */
class Beside {
  reads = 0;
  puts = 0;
  samples = 0;
  /** The most that an object survived less than what was certified when it was put. */
  lowered = 0;
  readonly #vault: Vault;
  readonly #root: (id: string) => string;
  readonly #going: Promise<unknown>;
  #isOver = false;

  constructor(vault: Vault, root: (id: string) => string) {
    this.#vault = vault;
    this.#root = root;
    this.#going = Promise.all([this.#read(), this.#put(), this.#sample()]);
    // It is told of when it is waited for.
    this.#going.catch(() => {});
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#going;
  }

  async #read(): Promise<void> {
    while (!this.#isOver) {
      for (const [name, bytes] of Object.entries(OBJECTS)) {
        const got = await (await this.#vault.getObject(name)).bytes();
        if (Buffer.compare(got, bytes) !== 0) throw new Error(`other bytes of ${name}`);
        this.reads++;
      }
    }
  }

  async #put(): Promise<void> {
    for (let i = 0; !this.#isOver; i++) {
      const bytes = noise(60_000, 10 + i);
      await this.#vault.putObject(bytes, { name: 'changing' });
      this.puts++;
      const got = await (await this.#vault.getObject('changing')).bytes();
      if (Buffer.compare(got, bytes) !== 0) throw new Error('other bytes than were put');
      await sleep(20);
    }
  }

  /** Where its shards ought to be they are, and that survives what was certified. */
  async #sample(): Promise<void> {
    const { context } = internalsOf(this.#vault);
    while (!this.#isOver) {
      for await (const { manifest, certificate } of this.#vault.listManifests()) {
        try {
          const now = await toleratesNow(context, manifest);
          this.lowered = Math.max(this.lowered, certificate.tolerates - now);
          for (const segment of await segmentsNow(context, manifest)) {
            for (const at of segment.view.record.places.keys()) {
              const { provider, address } = placeNow(segment, at);
              const hex = address.slice(3);
              await stat(join(this.#root(provider), 'blobs', hex.slice(0, 2), hex.slice(2)));
            }
          }
          this.samples++;
        } catch (error) {
          // What is replaced is removed meanwhile.
          const isKept = await this.#isNamed(manifest);
          if (isKept || !(isHoldfastError(error) || (error as { code?: string }).code === 'ENOENT'))
            throw error;
        }
      }
      await sleep(50);
    }
  }

  async #isNamed(manifest: string): Promise<boolean> {
    for (const name of Object.keys(OBJECTS))
      if ((await this.#vault.statObject(name)).manifest === manifest) return true;
    return false;
  }
}

it(`an evacuation of one of nine that is killed ${KILLS} times fails no read and lowers no certificate`, async () => {
  const cli = await CliVault.create(`${CONFIG}${providersToml(9)}`);
  onTestFinished(() => cli.remove());
  const vault = await openVault({ home: cli.home, env: {} });
  onTestFinished(() => vault.close());
  for (const [name, bytes] of Object.entries(OBJECTS)) await vault.putObject(bytes, { name });
  const planned = await vault.planEvacuation(FROM);
  expect(planned.refused.segments).toBe(0);
  const beside = new Beside(vault, (id) => cli.providerRoot(id));
  const left = [planned.segments];
  for (let kill = 0; kill < KILLS; kill++) {
    const running = cli.start(['evacuate', FROM, '--yes'], { input: new Uint8Array(0) });
    const moved = async (): Promise<number> => left.at(-1)! - (await vault.planEvacuation(FROM)).segments;
    await expect.poll(moved, { timeout: 60_000, interval: 20 }).toBeGreaterThan(0);
    await sleep(Math.random() * 200);
    running.child.kill('SIGKILL');
    const { code } = await running.outcome;
    expect(code).toBeNull();
    left.push((await vault.planEvacuation(FROM)).segments);
  }
  expect(left.at(-1)).toBeGreaterThan(0);
  const evacuated = () => cli.run(['evacuate', FROM, '--yes', '--json']);
  const ended = await evacuated();
  expect([0, 4], said(ended)).toContain(ended.code);
  await beside.end();
  // A name that was being put just then has too few copies elsewhere to lose this one, and is left to the next run.
  if (ended.code === 4) {
    const again = await evacuated();
    expect(again.code, said(again)).toBe(0);
  }
  const { reads, puts, samples, lowered } = beside;
  console.log(
    `an evacuation of one of nine, killed ${KILLS} times: segments left there after each ${left.join(', ')}; ` +
      `${reads} reads and ${puts} puts beside it, none failed; ${samples} certificates looked at, ` +
      `lowered by ${lowered} at most`,
  );
  expect(lowered).toBe(0);
  for (const count of [reads, puts, samples]) expect(count).toBeGreaterThan(KILLS);

  // Nothing that anybody counts on is there any more.
  expect(await vault.planEvacuation(FROM)).toMatchObject({ segments: 0, bytes: 0 });
  await vanish(cli.providerRoot(FROM));
  for (const [name, bytes] of Object.entries(OBJECTS)) {
    expect(Buffer.compare(await (await vault.getObject(name)).bytes(), bytes)).toBe(0);
    expect(await vault.verifyObject(name, { deep: true })).toMatchObject({ intact: true });
  }
  for (const id of IDS)
    if (id !== FROM) expect((await blobsIn(cli.providerRoot(id))).length).toBeGreaterThan(0);
}, 300_000);
