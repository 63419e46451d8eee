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
  /** How many messages were cut. */
  cuts(): number;
  /** True: nobody new gets through. */
  refuse(whether: boolean): void;
  close(): Promise<void>;
}

/** Stands before a server on this machine and breaks connections at instants that tests choose. */
export async function startCuttingProxy(to: number): Promise<CuttingProxy> {
  let armed: Cut | undefined;
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
    let deaf: Cut | undefined;
    client.on('data', (chunk) => {
      if (armed === undefined || deaf !== undefined) return void upstream.write(chunk);
      deaf = armed;
      armed = undefined;
      cuts++;
      if (deaf === 'before') client.destroy();
      else upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (deaf === undefined) client.write(chunk);
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
