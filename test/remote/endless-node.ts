import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface EndlessNode {
  readonly port: number;
  /** Answers that it made endless. */
  answers(): number;
  /** Bytes that it wrote into them. */
  sent(): number;
  close(): Promise<void>;
}

const PIECE = Buffer.alloc(64 * 1024);

/**
 * A storage node that takes what it is given and answers every read of a blob with a body that never ends.
 * @param honest whether the body begins with the bytes asked for; else it is zeroes from the start.
 */
export async function startEndlessNode(behindPort: number, honest: boolean): Promise<EndlessNode> {
  let answers = 0;
  let sent = 0;

  const pour = (response: ServerResponse): void => {
    while (!response.destroyed) {
      sent += PIECE.length;
      if (!response.write(PIECE)) return void response.once('drain', () => pour(response));
    }
  };
  const pass = (incoming: IncomingMessage, response: ServerResponse): void => {
    const { method, url, headers } = incoming;
    const options = { host: '127.0.0.1', port: behindPort, method, path: url, headers };
    const isRead = method === 'GET' && url?.startsWith('/o/');
    const passed = request(options, (answer) => {
      const { 'content-length': _, ...endless } = answer.headers;
      response.writeHead(answer.statusCode ?? 500, isRead ? endless : answer.headers);
      if (!isRead) return void answer.pipe(response);
      answers++;
      if (honest) answer.pipe(response, { end: false });
      else answer.resume();
      answer.once('end', () => pour(response));
    });
    passed.on('error', () => response.destroy());
    incoming.pipe(passed);
  };

  const server = createServer(pass);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    answers: () => answers,
    sent: () => sent,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
