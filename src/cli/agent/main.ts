import { systemClock } from '../../core/clock.ts';
import { Keeper } from './keeper.ts';
import { readHandover, subkeysOf } from './protocol.ts';
import { serveAgent } from './server.ts';

/**
 * The process that `holdfast unlock` starts: it takes the keys from standard input, says when it answers, and stays
 * until they are forgotten. Nothing of it is ever on a disk.
 */
const MAX_HANDOVER_BYTES = 8192;

async function readInput(): Promise<string> {
  let text = '';
  for await (const piece of process.stdin.setEncoding('utf8')) {
    text += piece;
    if (text.length > MAX_HANDOVER_BYTES) break;
  }
  return text;
}

const handover = readHandover(await readInput());
if (handover === undefined) {
  process.exitCode = 2;
} else {
  const keeper = new Keeper(subkeysOf(handover.keys), handover.forMs, systemClock);
  const agent = await serveAgent(handover.socket, handover.key_file, keeper, systemClock);
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => agent.end());
  process.stdout.on('error', () => {});
  process.stdout.write('ready\n');
  await agent.ended;
  process.exit(0);
}
