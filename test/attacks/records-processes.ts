import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type CliVault, MAIN } from '../helpers/cli.ts';

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Process {
  write(bytes: Uint8Array): void;
  end(bytes?: Uint8Array): void;
  readonly ended: Promise<Ended>;
}

function run(command: readonly string[]): Process {
  const [program, ...args] = command;
  const env = { PATH: process.env.PATH, HOLDFAST_NATIVE: process.env.HOLDFAST_NATIVE };
  const child = spawn(program!, args, { env, stdio: 'pipe' });
  child.stdin.on('error', () => {});
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (piece: Buffer) => out.push(piece));
  child.stderr.on('data', (piece: Buffer) => err.push(piece));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve({
        code,
        signal,
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
      }),
    );
  });
  return {
    write: (bytes) => void child.stdin.write(bytes),
    end: (bytes) => void child.stdin.end(bytes),
    ended,
  };
}

/** A command on a machine whose clock shows `now`, a number as JavaScript writes it. */
export async function withDate(
  cli: CliVault,
  now: string,
  [command, ...args]: readonly string[],
  input: Uint8Array,
): Promise<Ended> {
  const preload = `data:text/javascript,${encodeURIComponent(`Date.now = () => ${now};`)}`;
  const process_ = run([process.execPath, '--import', preload, MAIN, command!, ...cli.flags, ...args]);
  process_.end(input);
  return process_.ended;
}

/** A program over the library that puts one object and is killed the moment it has the result. */
export function killedAfterPut(cli: CliVault, name: string, size: number): Promise<Ended> {
  const library = fileURLToPath(new URL('../index.js', `file://${MAIN}`));
  const program = `
    import { randomBytes } from 'node:crypto';
    import { writeSync } from 'node:fs';
    import { openVault } from ${JSON.stringify(library)};
    const [home, config, name, size] = process.argv.slice(1);
    const vault = await openVault({ home, config });
    const { manifest } = await vault.putObject(randomBytes(Number(size)), { name });
    writeSync(1, manifest);
    process.kill(process.pid, 'SIGKILL');
  `;
  const [, home, , config] = cli.flags as [string, string, string, string];
  const args = ['--input-type=module', '-e', program, home, config, name, String(size)];
  const started = run([process.execPath, ...args]);
  started.end();
  return started.ended;
}
