import { spawnSync } from 'node:child_process';
import { it } from 'vitest';
import { absent } from './absent.ts';

/** A process in it is number 1 of a machine that has no network and any name. */
const SPACES = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', '--uts', '--net'];
const NAMED = ['sh', '-c', 'echo "$0" > /proc/sys/kernel/hostname && exec "$@"'];

const possible = (command: readonly string[]): boolean =>
  spawnSync(command[0]!, [...command.slice(1), ...NAMED, 'box', 'true']).status === 0;

const spaces = [SPACES, [...SPACES, '--map-root-user']].find(possible);

/** What to put before a command for it to run as the first process of a container of that name. */
export function inContainer(hostname: string): readonly string[] {
  if (spaces === undefined) throw new Error('there are no containers here');
  return [...spaces, ...NAMED, hostname];
}

/** A test that needs containers. Skipped, and said so, where there can be none; a failure where nothing may be absent. */
export function withContainers(name: string, work: () => Promise<void>): void {
  if (spaces !== undefined) it(name, work);
  else it.skipIf(missing(name))(name, () => {});
}

function missing(name: string): true {
  absent('no namespaces: unshare is not there or not permitted', name);
  return true;
}
