import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { abortable } from '../../core/abort.ts';
import { systemClock, withDeadline } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { VaultSubkeys } from '../../keys/derivation.ts';
import type { AgentPlace } from './place.ts';
import { type Handover, subkeysText } from './protocol.ts';

const SCRIPT = fileURLToPath(new URL('./agent.js', import.meta.url));
const START_MS = 15_000;
/** A crash leaves no image of the memory. */
const WITHOUT_CORE = 'ulimit -c 0; exec "$0" "$@"';

/**
 * Starts an agent that outlives this process. The keys go through a pipe: neither its arguments nor its environment,
 * which other programs can see, hold a secret.
 */
export async function startAgent(
  { socket }: AgentPlace,
  keyFile: string,
  subkeys: VaultSubkeys,
  forMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { spawn } = await import('node:child_process');
  const child = spawn('/bin/sh', ['-c', WITHOUT_CORE, process.execPath, SCRIPT], {
    cwd: '/',
    env: {},
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ready = async (): Promise<void> => {
    const handover: Handover = { socket, key_file: keyFile, forMs, keys: subkeysText(subkeys) };
    child.stdin.on('error', () => {});
    child.stdin.end(JSON.stringify(handover));
    const said = once(child.stdout, 'data').then(([text]) => String(text));
    const ended = once(child, 'close').then(() => 'ended');
    const first = await Promise.race([said, ended]);
    if (!first.startsWith('ready')) throw failed();
  };
  try {
    await withDeadline(
      systemClock,
      START_MS,
      'starting the agent',
      (until) => abortable(ready(), until),
      signal,
    );
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    child.stdout.destroy();
    child.unref();
  }
}

function failed(): HoldfastError {
  return new HoldfastError('Unexpected', 'the agent ended before it answered', {
    code: 'agent_failed',
    hint: 'Nothing was unlocked: give the passphrase each time, and report this.',
  });
}
