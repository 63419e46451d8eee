import { randomFillSync } from 'node:crypto';
import type { Area } from './area.ts';
import { makeRoot, writeBlobs } from './load-blobs.ts';
import { type Answer, type Client, createClient, sleep } from './load-client.ts';
import { type LoadServer, startHoldfast } from './load-servers.ts';
import { MIB } from './numbers.ts';
import { memoryOf } from './proc.ts';

const LIMIT_RPS = 200;
const TIMES = 5;
const FOR_MS = 8_000;
const TICK_MS = 10;
const CONNECTIONS = 256;

/** A node asked for five times what it takes, half of it writes. */
export interface OverloadFigure {
  readonly limitRps: number;
  readonly offeredRps: number;
  /** Answers by status; 0 for none. */
  readonly reads: Readonly<Record<number, number>>;
  readonly writes: Readonly<Record<number, number>>;
  /** Refusals that did not say when to come back. */
  readonly withoutRetryAfter: number;
  /** Milliseconds from the start until `/readyz` failed for writes, and until the first read was refused. */
  readonly unreadyMs: number;
  readonly firstReadRefusedMs: number;
  /** After the end, until `/readyz` was good and a write was taken. */
  readonly recoveredMs: number;
  readonly rssBefore: number;
  readonly rssPeak: number;
}

export async function benchOverload(area: Area): Promise<OverloadFigure> {
  const root = await makeRoot(area.dir);
  const names = await writeBlobs(root, 32, 64 * 1024);
  const node = await startHoldfast(root, ['--max-rps', String(LIMIT_RPS)]);
  const client = createClient(node.url, CONNECTIONS);
  try {
    return await overload(node, client, names.map(node.pathOf));
  } finally {
    client.close();
    await node.stop('SIGKILL');
  }
}

async function overload(node: LoadServer, client: Client, paths: readonly string[]): Promise<OverloadFigure> {
  for (const path of paths) await client.ask(path);
  await sleep(1_500); // the rate limit is full again
  const counts = { reads: {} as Record<number, number>, writes: {} as Record<number, number> };
  let withoutRetryAfter = 0;
  let firstReadRefusedMs = Number.NaN;
  const rssBefore = memoryOf(node.pid, 'VmRSS');
  const start = performance.now();
  const since = (): number => performance.now() - start;
  const readiness = watchReadiness(node, since);
  const note = (kind: 'reads' | 'writes', { status, retryAfter }: Answer): void => {
    counts[kind][status] = (counts[kind][status] ?? 0) + 1;
    const refused = status === 429 || status === 503;
    if (refused && !(Number(retryAfter) >= 1)) withoutRetryAfter++;
    if (refused && kind === 'reads' && Number.isNaN(firstReadRefusedMs)) firstReadRefusedMs = since();
  };
  const pending: Promise<void>[] = [];
  for (let sent = 0; since() < FOR_MS; ) {
    for (const due = (since() * LIMIT_RPS * TIMES) / 1000; sent < due; sent++) {
      const asked =
        sent % 2 === 0
          ? client.ask(paths[sent % paths.length]!).then((answer) => note('reads', answer))
          : client.ask('/o', post()).then((answer) => note('writes', answer));
      pending.push(asked);
    }
    await sleep(TICK_MS);
  }
  await Promise.all(pending);
  const offeredRps = (1000 * pending.length) / since();
  const end = performance.now();
  for (; performance.now() - end < 30_000; await sleep(100)) {
    if ((await client.ask('/readyz')).status !== 200) continue;
    if ((await client.ask('/o', post())).status === 201) break;
  }
  return {
    limitRps: LIMIT_RPS,
    offeredRps,
    ...counts,
    withoutRetryAfter,
    unreadyMs: await readiness,
    firstReadRefusedMs,
    recoveredMs: performance.now() - end,
    rssBefore,
    rssPeak: memoryOf(node.pid, 'VmHWM'),
  };
}

const post = (): { method: string; body: Uint8Array } => ({
  method: 'POST',
  body: randomFillSync(new Uint8Array(16 * 1024)),
});

/** Over a connection of its own. @returns when `/readyz` first failed */
async function watchReadiness(node: LoadServer, since: () => number): Promise<number> {
  const client = createClient(node.url, 1);
  try {
    while (since() < FOR_MS) {
      if ((await client.ask('/readyz')).status === 503) return since();
      await sleep(TICK_MS);
    }
    return Number.NaN;
  } finally {
    client.close();
  }
}

export function renderOverload(figure: OverloadFigure): string {
  const list = (counts: Readonly<Record<number, number>>): string =>
    Object.entries(counts)
      .map(([status, count]) => `${count} x ${status}`)
      .join(', ');
  const mib = (bytes: number): string => (bytes / MIB).toFixed(0);
  return [
    `${figure.offeredRps.toFixed(0)} requests/s at a node with --max-rps ${figure.limitRps}, half of them writes`,
    `reads ${list(figure.reads)}; writes ${list(figure.writes)}; without Retry-After ${figure.withoutRetryAfter}`,
    `/readyz failed after ${figure.unreadyMs.toFixed(0)} ms, the first read was refused after ${figure.firstReadRefusedMs.toFixed(0)} ms`,
    `ready and writing again ${figure.recoveredMs.toFixed(0)} ms after the end; memory ${mib(figure.rssBefore)} MiB before, ${mib(figure.rssPeak)} MiB at its peak`,
  ].join('\n');
}
