/** A reader on a thread of its own: reads from `workerData.port` again and again, and says when each began and how long it took. */
import { Agent, get } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

const { port } = workerData as { readonly port: number };
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

const read = (): Promise<void> =>
  new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, agent }, (answer) => {
      answer.resume().on('end', resolve).on('error', reject);
    });
    request.on('error', reject);
  });

const now = (): number => Number(process.hrtime.bigint()) / 1e6;

for (;;) {
  const began = now();
  await read();
  parentPort!.postMessage([began, now() - began]);
  // So that it does not take a core from those it measures.
  await new Promise((resolve) => setTimeout(resolve, 4));
}
