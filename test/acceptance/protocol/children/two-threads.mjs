// Two threads on one home: one stores an object in two halves, the other works beside it once standard input ends, which
// is when the first half is there. Prints what became of the object. Usage: two-threads.mjs <library> <home> <config>
import { createHash } from 'node:crypto';
import { on, once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const [library, home, config] = isMainThread ? process.argv.slice(2) : workerData;
const { openVault } = await import(library);
const vault = await openVault({ home, config });
const MIB = 1024 * 1024;

if (isMainThread) {
  const thread = new Worker(new URL(import.meta.url), { workerData: [library, home, config] });
  const ended = once(thread, 'message');
  await on(process.stdin.resume(), 'end').next();
  // Each of these clears up what the dead have left.
  for (let i = 0; i < 3; i++) await vault.putObject(new Uint8Array(100_000), { name: `beside ${i}` });
  await vault.deleteObject('beside 0');
  await vault.gc({ minAgeMs: 0 });
  thread.postMessage('go on');
  console.log((await ended)[0]);
} else {
  const bytes = createHash('shake256', { outputLength: 2 * MIB })
    .update('slow')
    .digest();
  async function* halves() {
    yield bytes.subarray(0, MIB);
    await once(parentPort, 'message');
    yield bytes.subarray(MIB);
  }
  const put = await vault.putObject(halves(), { name: 'slow' }).catch((error) => error);
  parentPort.postMessage(put.manifest ?? `${put.code}: ${put.message}`);
}
await vault.close();
