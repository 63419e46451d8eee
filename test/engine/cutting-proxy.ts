import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What becomes of the next thing that a client sends. */
export type Cut =
  /** The connection breaks, and the server never sees it. */
  | 'before'
  /** The server sees it and answers, and the connection breaks before the client hears. */
  | 'after'
  /** The server sees it, and nothing is heard any more; the connection stays open. */
  | 'silence';

export interface CuttingProxy {
  readonly port: number;
  /** Cuts the next message, on whatever connection it is sent. */
  arm(cut: Cut): void;
  /** Breaks the connection under the next message once so many bytes of it, or of the answer, have gone through. */
  armAt(side: 'message' | 'answer', bytes: number): void;
  /** How many messages were cut. */
  cuts(): number;
  /** True: nobody new gets through. */
  refuse(whether: boolean): void;
  close(): Promise<void>;
}

/** Stands before a server on this machine and breaks connections at instants that tests choose. */
export async function startCuttingProxy(to: number): Promise<CuttingProxy> {
  let armed: Cut | { readonly side: 'message' | 'answer'; readonly bytes: number } | undefined;
  let cuts = 0;
  let refusing = false;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    if (refusing) return void client.destroy();
    const upstream = connect(to, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    let deaf: typeof armed;
    let left = 0;
    /** What of it still goes through; then both ends see the connection break. */
    const cutShort = (to: Socket, chunk: Uint8Array): void => {
      const part = chunk.subarray(0, left);
      left -= part.length;
      const end = (): void => {
        if (left === 0) client.destroy();
      };
      if (part.length > 0) to.write(part, end);
      else end();
    };
    client.on('data', (chunk) => {
      if (armed === undefined || deaf !== undefined) {
        if (typeof deaf === 'object' && deaf.side === 'message') cutShort(upstream, chunk);
        else upstream.write(chunk);
        return;
      }
      deaf = armed;
      armed = undefined;
      cuts++;
      if (typeof deaf === 'object') {
        left = deaf.bytes;
        if (deaf.side === 'message') cutShort(upstream, chunk);
        else upstream.write(chunk);
      } else if (deaf === 'before') client.destroy();
      else upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      const isMessage = typeof deaf === 'object' && deaf.side === 'message';
      if (deaf === undefined || isMessage) client.write(chunk);
      else if (typeof deaf === 'object') cutShort(client, chunk);
      else if (deaf === 'after') client.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    arm: (cut) => {
      armed = cut;
    },
    armAt: (side, bytes) => {
      armed = { side, bytes };
    },
    cuts: () => cuts,
    refuse: (whether) => {
      refusing = whether;
    },
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
