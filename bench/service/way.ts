import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server, on which something happens to what is asked and answered. */
export interface Way {
  readonly port: number;
  close(): void;
}

export interface Travellers {
  /** Told of each piece that is asked; it goes on at once. */
  asked?(piece: Buffer): void;
  /** @returns what takes the pieces of the answers on one connection, and hands them to `near` when it is their time. */
  answers(near: Socket): (piece: Buffer) => void;
}

export async function wayTo(port: number, { asked, answers }: Travellers): Promise<Way> {
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
    near.on('data', (piece: Buffer) => {
      asked?.(piece);
      far.write(piece);
    });
    far.on('data', answers(near));
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
