import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** The wire between a client and a server. */
export interface Link {
  /** Added to each round trip. */
  readonly latencyMs: number;
  /** Each way, all connections together. */
  readonly bytesPerSecond: number;
  /** Chance that a piece of data on its way up resets its connection instead. */
  readonly loss: number;
}

export const CLEAN: Link = { latencyMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY, loss: 0 };

export interface FaultProxy {
  readonly port: number;
  /** In force from the next piece of data on. */
  setLink(link: Partial<Link>): void;
  /** Resets every connection, those there are and those to come, until `start`. */
  stop(): void;
  start(): void;
  /** Takes connections and carries nothing, until `start`. */
  stall(): void;
  close(): Promise<void>;
}

/** Sleeps shorter than this only measure the timer. */
const TICK_MS = 2;

/** TCP on the loopback to `targetPort`, over a link that can be made bad. */
export async function startFaultProxy(targetPort: number, seed = 1): Promise<FaultProxy> {
  let link = CLEAN;
  let state: 'up' | 'stopped' | 'stalled' = 'up';
  const open = new Set<Socket>();
  const chance = dice(seed);
  const reset = (): void => {
    for (const socket of open) socket.resetAndDestroy();
  };

  const carry = async (from: Socket, to: Socket, wire: { freeMs: number }, lossy: boolean): Promise<void> => {
    let delivered: Promise<void> = Promise.resolve();
    for await (const piece of from as AsyncIterable<Buffer>) {
      // Leaving the loop would close the connection, and that can be noticed.
      if (state === 'stalled' && !from.destroyed) await once(from, 'close');
      if (state !== 'up' || from.destroyed) return;
      if (lossy && chance() < link.loss) throw new Error('lost');
      const now = performance.now();
      wire.freeMs = Math.max(now, wire.freeMs) + (piece.length / link.bytesPerSecond) * 1000;
      if (wire.freeMs - now > TICK_MS) await sleep(wire.freeMs - now);
      const dueMs = performance.now() + link.latencyMs / 2;
      delivered = delivered.then(async () => {
        if (dueMs - performance.now() > TICK_MS) await sleep(dueMs - performance.now());
        if (!to.destroyed && !to.write(piece)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
      });
      delivered.catch(() => {});
    }
    await delivered;
    to.end();
  };

  const up = { freeMs: 0 };
  const down = { freeMs: 0 };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on('error', () => {});
    if (state === 'stopped') return void client.resetAndDestroy();
    const upstream = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true });
    upstream.on('error', () => client.resetAndDestroy());
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      open.add(socket);
      socket.once('close', () => open.delete(socket));
    }
    const cut = (): void => {
      if (state === 'stalled') return;
      client.resetAndDestroy();
      upstream.destroy();
    };
    carry(client, upstream, up, true).catch(cut);
    carry(upstream, client, down, false).catch(cut);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    port: (server.address() as AddressInfo).port,
    setLink(next) {
      link = { ...link, ...next };
    },
    stop() {
      state = 'stopped';
      reset();
    },
    start() {
      if (state === 'stalled') reset();
      state = 'up';
    },
    stall() {
      state = 'stalled';
    },
    async close() {
      server.close();
      reset();
      if (server.listening) await once(server, 'close');
    },
  };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Even numbers from 0 to 1, the same for the same seed. */
function dice(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
