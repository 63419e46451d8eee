import { Agent, request } from 'node:http';

export interface Answer {
  /** 0: no answer, the connection ended. */
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly ms: number;
  readonly body: Buffer;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Uint8Array;
}

/** A client that keeps up to `connections` connections alive. */
export interface Client {
  ask(path: string, what?: Ask): Promise<Answer>;
  close(): void;
}

const ANSWER_MS = 20_000;

export function createClient(url: string, connections: number): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const { hostname, port } = new URL(url);
  return {
    ask(path, { method = 'GET', headers, body } = {}) {
      const start = performance.now();
      return new Promise((resolve) => {
        const lost = (): void =>
          resolve({ status: 0, retryAfter: undefined, ms: performance.now() - start, body: Buffer.alloc(0) });
        const length = body === undefined ? {} : { 'content-length': body.length };
        const options = { hostname, port, path, method, agent, headers: { ...headers, ...length } };
        const asked = request({ ...options, timeout: ANSWER_MS }, (answer) => {
          const pieces: Buffer[] = [];
          answer.on('data', (piece: Buffer) => pieces.push(piece)).once('error', lost);
          answer.once('end', () =>
            resolve({
              status: answer.statusCode ?? 0,
              retryAfter: answer.headers['retry-after'],
              ms: performance.now() - start,
              body: Buffer.concat(pieces),
            }),
          );
        });
        asked.once('error', lost).once('timeout', () => asked.destroy());
        asked.end(body);
      });
    },
    close: () => agent.destroy(),
  };
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
