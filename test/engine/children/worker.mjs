// One of several processes that share a database. Usage: worker.mjs <dist> <folder, or URL#schema> <task> [argument]
import { pathToFileURL } from 'node:url';

const [dist, location, task, argument] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { createLevelEngine, loadPostgresEngine } = await load('engine/index.js');
const clock = {
  now: Date.now,
  monotonic: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  timer(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
const onServer = () => {
  const [url, schema] = location.split('#');
  const limits = { connections: 4, statementMs: 20_000, waitMs: 60_000 };
  return loadPostgresEngine({
    url: async () => url,
    schema,
    ...limits,
    clock,
    random: (n) => crypto.getRandomValues(new Uint8Array(n)),
  });
};
const engine = location.startsWith('postgres:')
  ? await onServer()
  : createLevelEngine({ location, clock, lockWaitMs: 60_000, idleReleaseMs: 5 });
const table = engine.table('shared');

const number = (value) => (value === undefined ? 0 : new DataView(value.buffer).getUint32(0));
function bytes(value) {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
}

const tasks = {
  async increment() {
    for (let i = 0; i < Number(argument); i++) {
      for (;;) {
        const now = await table.get('counter');
        if (await table.compareAndSet('counter', now, bytes(number(now) + 1), { sync: true })) break;
      }
    }
  },
  // Acknowledges each synchronous write on a line of its own, until it is killed.
  async write() {
    for (let i = 0; ; i++) {
      const batch = Array.from({ length: 4 }, (_, j) => `${argument}/${String(4 * i + j).padStart(6, '0')}`);
      await Promise.all(
        batch.map(async (key) => {
          await table.put(key, new TextEncoder().encode(`value of ${key}`), { sync: true });
          process.stdout.write(`${key}\n`);
        }),
      );
    }
  },
  // Writes the same number to two tables, step by step, until it is killed.
  async pair() {
    const [one, other] = [
      { table: 'shared', key: 'one' },
      { table: 'others', key: 'other' },
    ];
    for (let now = await table.get('one'); ; ) {
      const next = bytes(number(now) + 1);
      const ops = [
        { ...one, value: next },
        { ...other, value: next },
      ];
      const done = await engine.batch(
        ops,
        [
          { ...one, expected: now },
          { ...other, expected: now },
        ],
        { sync: true },
      );
      if (done) process.stdout.write(`${number(next)}\n`);
      now = done ? next : await table.get('one');
    }
  },
  async put() {
    const value = new Uint8Array(64 * 1024).map((_, i) => (i * 2654435761) >>> 13);
    for (let i = 0; i < Number(argument); i++) await table.put(`key ${i}`, value, { sync: true });
  },
};

try {
  await tasks[task]();
  await engine.close();
  process.stdout.write('done\n');
} catch (error) {
  process.stdout.write(`${JSON.stringify({ kind: error.kind, code: error.code, hint: error.hint })}\n`);
}
