import { chmod, lstat, rename, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { NO_LONGER_NEEDED } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { deferred } from '../../core/deferred.ts';
import { type Keeper, LOOK_EVERY_MS } from './keeper.ts';
import {
  type Answer,
  MAX_QUESTION_BYTES,
  type Question,
  readQuestion,
  subkeysText,
  VERSION,
} from './protocol.ts';

/** A client that says nothing is let go after this. */
const CONNECTION_MS = 2_000;
const MAX_CONNECTIONS = 32;

export interface Agent {
  /** Settles when the keys are forgotten and nobody is answered any more. */
  readonly ended: Promise<void>;
  /** Forgets now. */
  end(): void;
}

/** Answers at `socket` with what `keeper` holds, until it is forgotten. @param keyFile SHA-256, hex. */
export async function serveAgent(
  socket: string,
  keyFile: string,
  keeper: Keeper,
  clock: Clock,
): Promise<Agent> {
  const { promise: ended, resolve } = deferred();
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    open.add(connection);
    connection.once('close', () => open.delete(connection));
    attend(clock, connection, (question) => answer(question));
  });
  server.maxConnections = MAX_CONNECTIONS;
  const inode = await listenAt(server, socket);
  const own = async (): Promise<boolean> => (await lstat(socket).catch(() => undefined))?.ino === inode;

  const stop = new AbortController();
  const end = (): void => {
    if (stop.signal.aborted) return;
    stop.abort(NO_LONGER_NEEDED);
    keeper.forget();
    cancelEnd();
    server.close();
    // Who asked for it is answered once the socket is gone.
    void own()
      .then((ours) => (ours ? rm(socket, { force: true }) : undefined))
      .finally(() => {
        for (const connection of open) connection.end();
        setImmediate(resolve);
      });
  };
  const look = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await clock.sleep(LOOK_EVERY_MS, stop.signal);
      // Another agent took its place, or the folder was removed, as it is when a user logs out.
      if (keeper.held() === undefined || !(await own())) end();
    }
  };
  look().catch(() => {});
  const answer = (question: Question): Answer | undefined => {
    const keys = keeper.held();
    if (question.ask === 'forget' || keys === undefined) {
      end();
      return undefined;
    }
    const base = { agent: VERSION, pid: process.pid } as const;
    if (question.key_file !== keyFile) return { ...base, unlocked: false };
    const found = { ...base, unlocked: true, leftMs: keeper.leftMs(), id: keys.id };
    return question.ask === 'keys' ? { ...found, keys: subkeysText(keys) } : found;
  };
  const cancelEnd = clock.timer(keeper.leftMs() + 1, () => void (keeper.held() ?? end()));
  return { ended, end };
}

/** One question, one answer. A question without an answer leaves the connection open for the end of the agent. */
function attend(clock: Clock, connection: Socket, answer: (question: Question) => Answer | undefined): void {
  const cancel = clock.timer(CONNECTION_MS, () => connection.destroy());
  let text = '';
  connection.setEncoding('utf8');
  connection.on('error', () => connection.destroy());
  connection.once('close', cancel);
  connection.on('end', () => connection.end());
  const onData = (piece: string): void => {
    text += piece;
    const end = text.indexOf('\n');
    if (end < 0 && text.length <= MAX_QUESTION_BYTES) return;
    connection.off('data', onData);
    const question = end < 0 ? undefined : readQuestion(text.slice(0, end));
    if (question === undefined) return void connection.destroy();
    const said = answer(question);
    if (said !== undefined) connection.end(`${JSON.stringify(said)}\n`);
  };
  connection.on('data', onData);
}

/** Listens under another name first: what takes the place of a stale socket is one that answers. @returns its inode. */
async function listenAt(server: Server, socket: string): Promise<number> {
  const fresh = `${socket.slice(0, -'.sock'.length)}.${process.pid}`;
  await rm(fresh, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(fresh, resolve);
  });
  await chmod(fresh, 0o600);
  const { ino } = await lstat(fresh);
  await rename(fresh, socket);
  return ino;
}
