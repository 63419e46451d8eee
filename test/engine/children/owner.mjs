// Holds an owner's lock until it is killed, and answers questions. Usage: owner.mjs <dist> <folder> [thread]
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const [dist, folder, thread] = isMainThread ? process.argv.slice(2) : workerData;
const { createOwnerLocks } = await import(pathToFileURL(`${dist}/engine/index.js`).href);
const owners = createOwnerLocks({
  folder,
  clock: { now: Date.now },
  random: (length) => randomBytes(length),
});

if (!isMainThread) parentPort.postMessage(await owners.current());
else {
  if (thread === undefined) console.log(await owners.current());
  else {
    const worker = new Worker(new URL(import.meta.url), { workerData: [dist, folder] });
    worker.once('message', (name) => console.log(name));
  }
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'close') await owners.close();
    else console.log(await owners.standing(line));
  }
}
setInterval(() => {}, 1000);
