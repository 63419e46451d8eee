import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { wasmBlake3 as blake3 } from '../../src/core/b3/wasm.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createReceiptThreads, type ReceiptThreads } from '../../src/receipts/apart/threads.ts';
import { diskFiles } from '../../src/receipts/log/disk.ts';
import { filePath } from '../../src/receipts/log/folder.ts';
import { IdSet } from '../../src/receipts/log/ids.ts';
import { knowEpoch } from '../../src/receipts/log/load.ts';
import { decodeRoot } from '../../src/receipts/records/root.ts';
import { sumEpoch } from '../../src/receipts/sums.ts';
import { closeHour, reads, rootOf } from './hours.ts';
import { EPOCH, ed25519, FOLDER, newWorld } from './world.ts';

/** As it is built. */
const SCRIPT = new URL('../../dist/chunks/receipts-worker.js', import.meta.url);

let folder: string;
let threads: ReceiptThreads;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hf-threads-'));
});
afterEach(async () => {
  await threads.close();
  await rm(folder, { recursive: true, force: true });
});

function start(script: URL | undefined = SCRIPT): ReceiptThreads {
  threads = createReceiptThreads({
    ...{ files: diskFiles, folder, blake3, ed25519, clock: systemClock, script },
    ...{ acceleration: { native: true, wasm: true }, threads: 2 },
  });
  return threads;
}

const signer = ed25519.signer(new Uint8Array(32).fill(3));
const checks = Array.from({ length: 500 }, (_, i) => {
  const message = new TextEncoder().encode(`message ${i}`);
  const signature = signer.sign(message);
  if (i % 5 === 1) signature[i % 64]! ^= 1;
  const short = i % 7 === 2 ? signature.subarray(0, 63) : signature;
  return { message, signature: short, isRight: i % 5 !== 1 && i % 7 !== 2 };
});

const verdictsOf = ({ verifyApart }: ReceiptThreads): Promise<boolean[]> =>
  Promise.all(checks.map(({ message, signature }) => verifyApart(signer.publicKey, message, signature)));

/** An hour on a real disk, and what its root says. */
async function hourOnDisk(): Promise<Uint8Array> {
  const world = await newWorld();
  await reads(world.desk, 'zwölf', { signed: 12, unsigned: 4_100 });
  await world.desk.denied({ ...REQUEST, provider: 'denied' }, 'rate_limited');
  await closeHour(world);
  for (const path of world.files.paths().filter((one) => one.endsWith('.cbor'))) {
    const file = await diskFiles.open(path.replace(FOLDER, folder));
    await file.append(world.files.get(path));
    await file.close();
  }
  return rootOf(world.files);
}

const REQUEST = { manifest: new Uint8Array(32), domain: '', path: '/', client: 'c', length: 5 };

test('signatures are judged the same on threads, each its own', async () => {
  expect(await verdictsOf(start())).toEqual(checks.map(({ isRight }) => isRight));
});

test('verdicts are told a few in a turn of the loop, so that reads have theirs between', async () => {
  const { verifyApart } = start();
  const told = new Map<number, number>();
  let [turn, isOver] = [0, false];
  const count = (): void => {
    turn++;
    if (!isOver) setImmediate(count);
  };
  count();
  const check = async ({ message, signature }: (typeof checks)[number]): Promise<void> => {
    await verifyApart(signer.publicKey, message, signature);
    told.set(turn, (told.get(turn) ?? 0) + 1);
  };
  // Eight are left to Node's own threads, and all others are one batch.
  await Promise.all(checks.slice(0, 72).map(check));
  isOver = true;
  expect(Math.max(...told.values())).toBeLessThanOrEqual(16 + 8);
});

test.runIf(process.platform === 'linux')('threads give way to the one that serves reads', async () => {
  await verdictsOf(start());
  const nice = async (thread: string): Promise<number> =>
    Number((await readFile(`/proc/self/task/${thread}/stat`, 'utf8')).split(') ')[1]!.split(' ')[16]);
  const all = await Promise.all((await readdir('/proc/self/task')).map(nice));
  expect(all.filter((one) => one === Math.max(10, getPriority()))).toHaveLength(2);
});

test('an hour comes to the same on a thread as its root says, and so does what a start has to know of it', async () => {
  const stated = decodeRoot(await hourOnDisk());
  const { sum, know } = start();
  const place = { files: diskFiles, folder, blake3 };
  const sums = await sum(EPOCH);
  expect(sums).toEqual(await sumEpoch(place, EPOCH));
  expect(sums.root).toEqual(stated.root);
  expect(sums.totals.providers).toEqual(stated.providers);
  const known = await know(EPOCH);
  expect(known).toEqual(await knowEpoch(place, EPOCH));
  expect(known.providers).toEqual(['zwölf']);
  const ids = new IdSet(8);
  ids.adopt(known.ids);
  expect(ids.size).toBe(stated.count);
});

test('damage that a thread finds is told with its place', async () => {
  await hourOnDisk();
  const path = filePath(folder, EPOCH, 0);
  const bytes = (await diskFiles.read(path, 2 ** 24))!;
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(path, bytes);
  const failure = { code: 'receipts_damaged', context: { epoch: EPOCH, file: '00000000.cbor' } };
  await expect(start().sum(EPOCH)).rejects.toMatchObject(failure);
  await expect(threads.know(EPOCH)).rejects.toMatchObject(failure);
});

test('of what is damaged in both halves of an hour the first is told', async () => {
  await hourOnDisk();
  // The second has one batch, and so is gone through first.
  for (const seq of [0, 1]) {
    const path = filePath(folder, EPOCH, seq);
    const bytes = (await diskFiles.read(path, 2 ** 24))!;
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(path, Buffer.concat([bytes, bytes]));
  }
  await expect(start().sum(EPOCH)).rejects.toMatchObject({ context: { file: '00000000.cbor' } });
});

test('where threads fail, or there are none, all is done without them', async () => {
  const stated = decodeRoot(await hourOnDisk());
  const broken = join(folder, 'broken.mjs');
  await writeFile(broken, 'throw new Error("broken");');
  // The last one is refused before there is a thread, as where the machine has room for none.
  for (const script of [pathToFileURL(broken), undefined, new URL('http://127.0.0.1/worker.js')]) {
    const { sum, know } = start(script);
    expect(await verdictsOf(threads)).toEqual(checks.map(({ isRight }) => isRight));
    expect((await sum(EPOCH)).root).toEqual(stated.root);
    expect((await know(EPOCH)).end.seq).toBe(1);
    await threads.close();
  }
});

test('whoever no longer wants an hour summed up, or closes, does not wait for it', async () => {
  await hourOnDisk();
  const { sum } = start();
  const controller = new AbortController();
  const given = sum(EPOCH, controller.signal);
  controller.abort();
  await expect(given).rejects.toMatchObject({ kind: 'Aborted' });
  const other = sum(EPOCH);
  await threads.close();
  await expect(other).rejects.toMatchObject({ kind: 'Aborted' });
  await expect(sum(EPOCH)).rejects.toMatchObject({ code: 'pool_closed' });
});
