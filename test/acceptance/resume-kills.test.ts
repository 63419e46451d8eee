import { createHash } from 'node:crypto';
import { cp, open, readFile, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { KEY } from '../../src/coding/aead-select.ts';
import { CliVault, IDS, type Outcome, SLOW, SMALL_PIECES, said } from '../helpers/cli.ts';
import { filesBelow } from '../helpers/files.ts';
import { noise } from '../helpers/vault.ts';

const MIB = 1024 * 1024;
const RECORDER = new URL('../helpers/record-seals.mjs', import.meta.url).href;
const EPOCH = new Date('2026-01-01');

/** What the checks of the implementations at each start seal, under a key that everybody knows. */
const KNOWN_PAIR = createHash('sha256')
  .update('32:')
  .update(KEY)
  .update('12:')
  .update(new Uint8Array(12))
  .digest('hex');

interface Seal {
  readonly pair: string;
  readonly message: string;
  readonly length: number;
  readonly ofChunk: boolean;
}

/** A vault whose commands are killed, and which records every message that any of them seals. */
class Scene {
  readonly cli: CliVault;
  readonly #seals: string;
  readonly #backup: string;

  private constructor(cli: CliVault) {
    this.cli = cli;
    this.#seals = join(cli.home, 'seals');
    this.#backup = join(cli.home, 'engine-backup');
  }

  static async create(): Promise<Scene> {
    const scene = new Scene(await CliVault.create(SMALL_PIECES));
    await writeFile(scene.#seals, '');
    return scene;
  }

  get file(): string {
    return join(this.cli.home, 'film');
  }

  get #env(): Record<string, string> {
    // It is the cipher of Node that is recorded.
    return { HOLDFAST_TEST_SEALS: this.#seals, NODE_OPTIONS: `--import ${RECORDER}`, HOLDFAST_NATIVE: 'on' };
  }

  run(args: readonly string[]): Promise<Outcome> {
    return this.cli.run(args, { env: this.#env });
  }

  /** Puts the file, and kills that once so many more messages were sealed. */
  async putUntil(sealed: number, signal: NodeJS.Signals): Promise<Outcome> {
    const before = (await stat(this.#seals)).size;
    const { child, outcome } = this.cli.start(['put', this.file, '--json'], { env: this.#env });
    // Each is a line of at least 130 characters.
    while (child.exitCode === null && (await stat(this.#seals)).size < before + sealed * 130) await sleep(2);
    child.kill(signal);
    return outcome;
  }

  async seals(): Promise<Seal[]> {
    const lines = (await readFile(this.#seals, 'utf8')).split('\n').slice(0, -1);
    const words = lines.map((line) => line.split(' ')) as [string, string, string, string][];
    const all = words.map(([pair, message, length, nonce]) => {
      return { pair, message, length: Number(length), ofChunk: nonce === '12' };
    });
    return all.filter(({ pair }) => pair !== KNOWN_PAIR);
  }

  async write(content: Uint8Array): Promise<void> {
    await writeFile(this.file, content);
    await utimes(this.file, EPOCH, EPOCH);
  }

  /** Changes a byte, which the time of the file does not tell. */
  async changeSecretly(content: Uint8Array, at: number): Promise<void> {
    content[at]! ^= 1;
    const file = await open(this.file, 'r+');
    await file.write(content, at, 1, at);
    await file.close();
    await utimes(this.file, EPOCH, EPOCH);
  }

  async backUp(): Promise<void> {
    await rm(this.#backup, { recursive: true, force: true });
    await cp(join(this.cli.home, 'engine'), this.#backup, { recursive: true });
  }

  async restore(): Promise<void> {
    await rm(join(this.cli.home, 'engine'), { recursive: true });
    await cp(this.#backup, join(this.cli.home, 'engine'), { recursive: true });
  }

  /** Files of the providers' blobs, with what tells whether they were written again. */
  async stored(): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const id of IDS) {
      for (const path of await filesBelow(join(this.cli.providerRoot(id), 'blobs')).catch(() => [])) {
        const at = await stat(path).catch(() => undefined);
        if (at !== undefined) found.set(path, `${at.ino} ${at.mtimeMs}`);
      }
    }
    return found;
  }
}

/** Of every (key, nonce) the messages that were sealed with it, where they are several. */
function misused(seals: readonly Seal[]): string[] {
  const messages = new Map<string, string>();
  const twice = new Set<string>();
  for (const { pair, message } of seals) {
    if ((messages.get(pair) ?? message) !== message) twice.add(pair);
    messages.set(pair, message);
  }
  return [...twice];
}

const TROUBLES = ['none', 'none', 'change', 'restore', 'lose', 'gc', 'other'] as const;

function drawn(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

let scene: Scene;
beforeEach(async () => {
  scene = await Scene.create();
});
afterEach(() => scene.cli.remove());

for (let seed = 1; seed <= (SLOW ? 40 : 1); seed++) {
  it(`killed again and again, a put ends with the file, and no (key, nonce) sealed two messages (${seed})`, async () => {
    const draw = drawn(seed);
    const size = (SLOW ? 20 * MIB + draw(40 * MIB) : 4 * MIB) + draw(1000);
    const content = noise(size, seed);
    await scene.write(content);
    let kept = 0;
    let backedUp = false;
    for (let round = 0; round < (SLOW ? 8 : 3); round++) {
      const signal = draw(2) === 0 ? 'SIGKILL' : 'SIGINT';
      const cut = await scene.putUntil(20 + draw(size / (48 * 1024)), signal);
      kept = 0;
      if (cut.code === 0) break;
      kept = (size * Number(/(\d+) % of it is stored/.exec(cut.stderr)?.[1] ?? 0)) / 100;
      const trouble = TROUBLES[draw(TROUBLES.length)]!;
      if (trouble !== 'none') kept = 0;
      if (trouble === 'change') await scene.changeSecretly(content, draw(size));
      if (trouble === 'restore' && backedUp) await scene.restore();
      if (trouble === 'gc') await scene.run(['gc', ...(draw(2) === 0 ? ['--keep-unfinished'] : [])]);
      if (trouble === 'other') await scene.run(['put', scene.file, '--name', `film${round}`]);
      if (trouble === 'lose') {
        for (const path of await filesBelow(join(scene.cli.providerRoot('p4'), 'blobs')).catch(() => []))
          if (draw(3) === 0) await unlink(path);
      }
      await scene.backUp();
      backedUp = true;
    }
    const [before, sealedBefore] = [await scene.stored(), (await scene.seals()).length];
    const put = await scene.run(['put', scene.file, '--json']);
    expect(put.code, said(put)).toBe(0);
    const { resumedBytes } = JSON.parse(put.stdout.toString());
    expect(resumedBytes).toBeGreaterThanOrEqual(kept);
    const seals = await scene.seals();
    const chunks = seals.slice(sealedBefore).filter(({ ofChunk }) => ofChunk);
    const encoded = chunks.reduce((sum, { length }) => sum + length, 0);
    // Shards are of one length: a chunk is filled up to a multiple of that.
    expect(encoded).toBeLessThanOrEqual(size - resumedBytes + chunks.length * 4096);
    const after = await scene.stored();
    for (const [path, mark] of before) if (after.has(path)) expect(after.get(path)).toBe(mark);
    expect(misused(seals)).toEqual([]);
    expect(seals.some(({ ofChunk }) => !ofChunk)).toBe(true);
    expect(seals.filter(({ ofChunk }) => ofChunk).length).toBeGreaterThan(size / (128 * 1024));

    expect(Buffer.compare((await scene.run(['get', 'film'])).stdout, content)).toBe(0);
    for (const name of (await scene.run(['ls'])).stdout.toString().split('\n').filter(Boolean))
      await scene.run(['rm', name]);
    const gc = await scene.run(['gc', '--min-age', '0']);
    expect(gc.code, said(gc)).toBe(0);
    expect(await scene.cli.blobs()).toEqual([]);
  });
}
