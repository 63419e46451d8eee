import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

type Answer = (incoming: IncomingMessage, response: ServerResponse) => void;

/** A server for one test. @returns its address. */
export async function hostileServer(answer: Answer): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Answers every request for a list of slots with a lie, and passes on all others to a node. */
export const lyingNode = (behind: string, page: (after: string) => object): Promise<string> =>
  hostileServer((incoming, response) => {
    const url = new URL(incoming.url ?? '', behind);
    if (incoming.method === 'GET' && url.pathname === '/slots') {
      return void response.end(JSON.stringify(page(url.searchParams.get('after') ?? '')));
    }
    const { method, headers } = incoming;
    const passed = request(url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    passed.on('error', () => response.destroy());
    incoming.pipe(passed);
  });
