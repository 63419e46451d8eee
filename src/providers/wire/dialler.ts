import { Socket } from 'node:net';
import { buildConnector } from 'undici';

/** Makes connections, and can give up those that are still being made: destroying an agent waits for them. */
export interface Dialler {
  readonly connect: buildConnector.connector;
  close(): void;
}

export function createDialler(options: buildConnector.BuildOptions): Dialler {
  const dial = buildConnector(options);
  // No signal among the options: Node keeps a listener on it for every connection there ever was.
  const dialling = new Set<Socket>();
  return {
    connect(target, callback) {
      // The types say nothing of it, but the socket is what comes back.
      const socket: unknown = dial(target, (...outcome) => {
        if (socket instanceof Socket) dialling.delete(socket);
        callback(...outcome);
      });
      if (socket instanceof Socket) dialling.add(socket);
    },
    close() {
      for (const socket of dialling) socket.destroy(new Error('the client was closed'));
    },
  };
}
