import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A port of a process that is stopped, and whose queue of connections is full: attempts hang, as those to a host that drops them do. */
export interface Unreachable {
  readonly port: number;
  close(): void;
}

const SERVER =
  "const s = require('node:net').createServer(); s.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port));";
/** The queue takes one or two more than it is said to. */
const FILL = 6;

/** @returns undefined where the system takes them all. */
export async function startUnreachable(): Promise<Unreachable | undefined> {
  const child = spawn(process.execPath, ['-e', SERVER], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(String(line));
  child.kill('SIGSTOP');
  const sockets: Socket[] = [];
  for (let i = 0; i < FILL; i++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    sockets.push(socket);
    await Promise.race([once(socket, 'connect'), new Promise((resolve) => setTimeout(resolve, 200))]);
  }
  const close = (): void => {
    child.kill('SIGKILL');
    for (const socket of sockets) socket.destroy();
  };
  if (sockets.some(({ connecting }) => connecting)) return { port, close };
  close();
  return undefined;
}
