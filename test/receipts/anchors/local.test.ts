import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { createMemoryEngine } from '../../../src/engine/index.ts';
import { engineLogMemory } from '../../../src/receipts/anchors/log-memory.ts';
import { openCheckpoint } from '../../../src/receipts/anchors/note.ts';
import { treeHash, treeRoot } from '../../../src/receipts.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { ed25519 } from '../world.ts';
import { CrashingFiles, epoch, epochs, FOLDER, KEY, openLog } from './world.ts';

const sha256 = treeHash(32, (data) => new Uint8Array(createHash('sha256').update(data).digest()));

const checkpointIn = (files: CrashingFiles) =>
  openCheckpoint(files.get(`${FOLDER}/checkpoint`), KEY, ed25519);

/** The entries as the bundles have them. */
function entriesIn(files: CrashingFiles, size: number): Uint8Array[] {
  const entries: Uint8Array[] = [];
  for (let number = 0; entries.length < size; number++) {
    const name = `${FOLDER}/tile/entries/${String(number).padStart(3, '0')}`;
    const width = size - 256 * number;
    const bytes = files.get(width >= 256 ? name : `${name}.p/${width}`);
    for (let at = 0; at < bytes.length; ) {
      const length = 256 * bytes[at]! + bytes[at + 1]!;
      entries.push(bytes.slice(at + 2, at + 2 + length));
      at += 2 + length;
    }
  }
  return entries;
}

const rootAt = (entries: readonly Uint8Array[], size: number) =>
  treeRoot(
    sha256,
    entries.slice(0, size).map((entry) => sha256.leaf(entry)),
  );

test('what is submitted is included, and the checkpoint is the root of it', async () => {
  const files = new CrashingFiles();
  const log = await openLog(files);
  expect(await log.look([epoch(1)])).toEqual([{ state: 'absent' }]);
  let size = 0;
  for (const count of [1, 2, 253, 1, 700]) {
    await log.submit(epochs(size, count));
    size += count;
    const { root, size: signed } = checkpointIn(files);
    expect(signed).toBe(size);
    expect(root).toEqual(rootAt(entriesIn(files, size), size));
  }
  expect(await log.look([epoch(956), epoch(957), epoch(3)])).toEqual([
    { state: 'included', depth: 1, where: 'entry 956' },
    { state: 'absent' },
    { state: 'included', depth: 1, where: 'entry 3' },
  ]);
});

test('an item is in the log once, however often it is submitted, and after a restart', async () => {
  const files = new CrashingFiles();
  const log = await openLog(files);
  await log.submit([epoch(1), epoch(2), epoch(1)]);
  await Promise.all([log.submit([epoch(2)]), log.submit([epoch(3)]), log.submit([epoch(3)])]);
  await log.close();
  const again = await openLog(files);
  await again.submit(epochs(1, 3));
  expect(checkpointIn(files).size).toBe(3);
});

test('another digest of the same epoch is refused, and nothing of the call is written', async () => {
  const files = new CrashingFiles();
  const log = await openLog(files);
  await log.submit([epoch(1)]);
  await expect(log.submit([epoch(2), epoch(1, 1)])).rejects.toMatchObject({
    kind: 'Conflict',
    code: 'anchor_conflict',
  });
  await expect(log.submit([epoch(4), epoch(4, 1)])).rejects.toMatchObject({ code: 'anchor_conflict' });
  expect(await log.look([epoch(1, 1), epoch(2)])).toEqual([{ state: 'absent' }, { state: 'absent' }]);
  expect(checkpointIn(files).size).toBe(1);
});

/** Every checkpoint that was ever to be seen, and that no two of them disagree. */
class Witness {
  readonly seen = new Map<number, string>();

  look(files: CrashingFiles): void {
    if (!files.paths().includes(`${FOLDER}/checkpoint`)) return;
    const { size, root } = checkpointIn(files);
    const text = Buffer.from(root).toString('hex');
    expect(this.seen.get(size) ?? text, `the root of size ${size}`).toBe(text);
    this.seen.set(size, text);
  }

  /** All of them are roots of the log as it is now. */
  check(files: CrashingFiles): void {
    this.look(files);
    const entries = entriesIn(files, checkpointIn(files).size);
    for (const [size, root] of this.seen)
      expect(Buffer.from(rootAt(entries, size)).toString('hex'), `the root of size ${size}`).toBe(root);
  }
}

test('a machine that stops at any step goes on with a log that extends what it had signed', async () => {
  const randoms = [() => 0, () => 0.99, () => 0.4];
  for (const [from, count, every] of [
    [0, 3, 1],
    [250, 10, 1],
    [250, 300, 4],
  ] as const) {
    const base = new CrashingFiles();
    await (await openLog(base)).submit(epochs(0, from));
    for (let steps = 0, done = false; !done; steps += every) {
      const files = base.copy();
      const witness = new Witness();
      witness.look(files);
      const log = await openLog(files);
      files.steps = steps;
      done = await log.submit(epochs(1_000, count)).then(
        () => true,
        () => false,
      );
      witness.look(files);
      const left = files.afterCrash(randoms[steps % randoms.length]!);
      const again = await openLog(left);
      // Not the same as before: another batch must not take the place of one that was signed.
      await again.submit([...epochs(2_000, 2), ...epochs(1_000, count)]);
      witness.check(left);
      expect(checkpointIn(left).size).toBe(from + 2 + count);
      expect((await again.look(epochs(1_000, count))).every(({ state }) => state === 'included')).toBe(true);
    }
  }
});

test('a write that fails leaves a log that the next call mends', async () => {
  for (let failing = 1; failing < 20; failing++) {
    const files = new CrashingFiles();
    const log = await openLog(files);
    await log.submit(epochs(0, 254));
    const witness = new Witness();
    witness.look(files);
    let step = 0;
    files.fault = () => (++step === failing ? new Error('no space') : undefined);
    await log.submit(epochs(254, 4)).catch(() => undefined);
    files.fault = undefined;
    await log.submit([epoch(999), ...epochs(254, 4)]);
    witness.check(files);
    expect(checkpointIn(files).size).toBe(259);
  }
});

test('a log whose files were changed is not written on', async () => {
  const fresh = async () => {
    const files = new CrashingFiles();
    await (await openLog(files)).submit(epochs(0, 300));
    return files;
  };
  const paths = (await fresh()).paths();
  expect(paths).toEqual(
    [
      'checkpoint',
      'tile/0/000',
      'tile/0/001.p/44',
      'tile/1/000.p/1',
      'tile/entries/000',
      'tile/entries/001.p/44',
    ].map((path) => `${FOLDER}/${path}`),
  );
  for (const path of paths) {
    const files = await fresh();
    const bytes = files.get(path).slice();
    bytes[bytes.length >> 1]! ^= 1;
    files.put(path, bytes);
    await expect(openLog(files), path).rejects.toMatchObject({ code: 'anchor_log_damaged' });
    files.put(path, bytes.slice(0, -10));
    await expect(openLog(files), path).rejects.toMatchObject({ code: 'anchor_log_damaged' });
    files.remove(path);
    if (path.includes('entries')) {
      await expect(openLog(files), path).rejects.toMatchObject({ code: 'anchor_log_damaged' });
      continue;
    }
    await openLog(files);
    expect(files.get(path), path).toEqual((await fresh()).get(path));
  }
});

test('a log that was restored from an older copy is not written on by who saw the newer one', async () => {
  const memory = engineLogMemory(createMemoryEngine());
  const files = new CrashingFiles();
  const log = await openLog(files, { memory });
  await log.submit(epochs(0, 300));
  const older = files.paths().map((path) => [path, files.get(path)] as const);
  await log.submit(epochs(300, 20));
  await log.close();
  const restored = new CrashingFiles();
  for (const [path, bytes] of older) restored.put(path, bytes);
  await expect(openLog(restored, { memory })).rejects.toMatchObject({ code: 'anchor_log_older' });
  expect(checkpointIn(restored).size).toBe(300);
  // Nor is one that grew otherwise since.
  const fork = await openLog(restored);
  await fork.submit(epochs(1_000, 40));
  await fork.close();
  await expect(openLog(restored, { memory })).rejects.toMatchObject({ code: 'anchor_log_older' });
  // The newer one is, also where somebody else has added to it.
  const other = await openLog(files);
  await other.submit([epoch(999)]);
  await other.close();
  await (await openLog(files, { memory })).submit([epoch(1_000)]);
  expect(checkpointIn(files).size).toBe(322);
});

test('cosignatures of witnesses stay with the checkpoint, and are kept when the next one comes', async () => {
  const files = new CrashingFiles();
  const log = await openLog(files);
  await log.submit([epoch(1)]);
  const line = `— witness.example/w1 ${Buffer.alloc(76, 5).toString('base64')}\n`;
  const cosigned = Buffer.concat([files.get(`${FOLDER}/checkpoint`), Buffer.from(line)]);
  files.put(`${FOLDER}/checkpoint`, cosigned);
  await log.submit([epoch(1)]);
  expect(files.get(`${FOLDER}/checkpoint`)).toEqual(cosigned);
  await (await openLog(files)).submit([epoch(2)]);
  expect(files.get(`${FOLDER}/cosigned/1`)).toEqual(cosigned);
  expect(checkpointIn(files)).toMatchObject({ size: 2, cosignatures: 0 });
});

test('two processes write in turn, and neither takes what the other wrote for its own', async () => {
  const files = new CrashingFiles();
  const clock = new FakeClock();
  let held = 0;
  const hold = async () => {
    if (held++ > 0) throw new Error('both have it');
    return async () => void held--;
  };
  const one = await openLog(files, { clock, hold });
  await clock.advance(1_000);
  const second = await openLog(files, { clock, hold });
  await clock.advance(1_000);
  const witness = new Witness();
  for (let round = 0; round < 5; round++) {
    await one.submit(epochs(10 * round, 2));
    await expect(second.submit([epoch(1)])).rejects.toThrow('both have it');
    held = 1;
    await clock.advance(1_000);
    expect(held).toBe(0);
    await second.submit(epochs(10 * round + 1, 3));
    witness.look(files);
    await clock.advance(1_000);
  }
  witness.check(files);
  expect(checkpointIn(files).size).toBe(20);
});

test('what another has written is seen too where the checkpoint could not be read at first', async () => {
  const files = new CrashingFiles();
  let failures = 0;
  const read = files.read.bind(files);
  files.read = async (path, maxBytes) => {
    if (path.endsWith('/checkpoint') && failures-- > 0) throw new Error('EIO');
    return read(path, maxBytes);
  };
  const clock = new FakeClock();
  const log = await openLog(files, { clock });
  await log.submit([epoch(1)]);
  await clock.advance(1_000);
  const other = await openLog(files);
  await other.submit(epochs(2, 300));
  await other.close();
  failures = 1;
  await expect(log.look([epoch(1)])).rejects.toThrow('EIO');
  await log.submit([epoch(400)]);
  const { size, root } = checkpointIn(files);
  expect(size).toBe(302);
  expect(root).toEqual(rootAt(entriesIn(files, size), size));
});
