import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

/** A way to a server on which every answer takes a while longer. */
export interface FarWay {
  readonly port: number;
  close(): void;
}

/** @param delayMs of each piece of an answer; asked for at each. */
export async function farFrom(port: number, delayMs: () => number): Promise<FarWay> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(socket);
          other.destroy();
        });
    }
    near.on('data', (piece) => far.write(piece));
    // Pieces stay in their order: none overtakes one that was delayed for longer.
    const pieces: Buffer[] = [];
    let last = 0;
    far.on('data', (piece) => {
      last = Math.max(last, performance.now() + delayMs());
      pieces.push(piece);
      setTimeout(() => near.write(pieces.shift()!), last - performance.now());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
