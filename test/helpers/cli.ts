import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { blobsIn } from './files.ts';

/** The built program; `HOLDFAST_DIST` names another build. */
const DIST = process.env.HOLDFAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
export const MAIN: string = join(DIST, 'cli', 'main.js');

export const SLOW = process.env.SLOW === '1';

/** The library as a stranger gets it: built, so that its worker threads can start. */
export async function builtLibrary(): Promise<typeof import('../../src/index.ts')> {
  requireBuild();
  return import(pathToFileURL(join(DIST, 'index.js')).href);
}

function requireBuild(): void {
  if (!existsSync(MAIN)) throw new Error(`there is no ${MAIN}: run \`npm run build\` first`);
}

export interface RunOptions {
  readonly input?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  readonly cwd?: string | undefined;
  /** Run as this unprivileged user; needs root. */
  readonly uid?: number | undefined;
  /** Called with every piece of output; the output is then not kept. */
  readonly onOutput?: ((piece: Buffer) => void) | undefined;
}

export interface Outcome {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly peakRssBytes: number;
}

export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly outcome: Promise<Outcome>;
}

/** Where the system tells of it: what a process reports of itself begins with the memory of the one that started it. */
const PEAK_KIB = `(() => {
  try { return /VmHWM:\\s*(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]; }
  catch { return String(process.resourceUsage().maxRSS); }
})()`;

/** Leaves the process's peak memory in a file as it exits. */
const MEASURE = `data:text/javascript,${encodeURIComponent(
  `import { readFileSync, writeFileSync } from 'node:fs';
   process.on('exit', () => { try { writeFileSync(process.env.HOLDFAST_TEST_RSS, ${PEAK_KIB}); } catch {} });`,
)}`;

/** Starts `holdfast …` with nothing in its environment but what is given. */
export function start(args: readonly string[], options: RunOptions = {}): Running {
  requireBuild();
  const rss = join(tmpdir(), `holdfast-rss-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const child = spawn(process.execPath, ['--import', MEASURE, MAIN, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: {
      PATH: process.env.PATH,
      HOLDFAST_NATIVE: process.env.HOLDFAST_NATIVE,
      HOLDFAST_TEST_RSS: rss,
      ...options.env,
    },
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  });
  return { child, outcome: collect(child, options, rss) };
}

async function collect(
  child: ChildProcessWithoutNullStreams,
  { input, onOutput }: RunOptions,
  rss: string,
): Promise<Outcome> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => (onOutput ? onOutput(piece) : out.push(piece)));
  child.stderr.on('data', (piece: Buffer) => err.push(piece));
  child.stdin.on('error', () => {});
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code));
  });
  if (input !== undefined) await Promise.race([feed(child, input), ended]);
  const code = await ended;
  const peak = await readFile(rss, 'utf8').catch(() => '0');
  await rm(rss, { force: true });
  const stderr = Buffer.concat(err).toString();
  return { code, stdout: Buffer.concat(out), stderr, peakRssBytes: Number(peak) * 1024 };
}

async function feed(
  child: ChildProcessWithoutNullStreams,
  input: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<void> {
  for await (const piece of input instanceof Uint8Array ? [input] : input) {
    if (child.stdin.destroyed || child.exitCode !== null) return;
    if (child.stdin.write(piece)) continue;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        child.stdin.off('drain', go).off('close', go);
        resolve();
      };
      child.stdin.on('drain', go).on('close', go);
    });
  }
  child.stdin.end();
}

/** A vault of its own in a temporary folder, driven through the command line. */
export class CliVault {
  readonly home: string;
  readonly #config: string | undefined;

  private constructor(home: string, config: string | undefined) {
    this.home = home;
    this.#config = config;
  }

  /**
   * What is replaced goes at once, unless the configuration says how long it stays.
   * @param config TOML. @param folder where to make the home.
   */
  static async create(config?: string, folder: string = tmpdir()): Promise<CliVault> {
    const home = await mkdtemp(join(folder, 'holdfast-test-'));
    const file = config === undefined ? undefined : join(home, 'storage.toml');
    if (file !== undefined) await writeFile(file, config as string);
    const vault = new CliVault(home, file);
    const made = await vault.run(['init', '--unwrapped']);
    if (made.code !== 0) throw new Error(`init failed: ${made.stderr}`);
    const own = file ?? join(home, 'storage.toml');
    const text = await readFile(own, 'utf8');
    const said = text.includes('replaced_seconds');
    await writeFile(
      own,
      said
        ? text.replace('replaced_seconds = 60', 'replaced_seconds = 0')
        : `${text}\n[retention]\nreplaced_seconds = 0\n`,
    );
    return vault;
  }

  get flags(): string[] {
    return ['--home', this.home, ...(this.#config === undefined ? [] : ['--config', this.#config])];
  }

  start(args: readonly string[], options?: RunOptions): Running {
    const [command, ...rest] = args as [string, ...string[]];
    const words = command.split(' ');
    return start([...words, ...this.flags, ...rest], options);
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return this.start(args, { input: new Uint8Array(0), ...options }).outcome;
  }

  /** The same vault through the library. Close it. */
  async open(): Promise<import('../../src/index.ts').Vault> {
    const { openVault } = await builtLibrary();
    return openVault({
      home: this.home,
      config: this.#config,
      env: { HOLDFAST_NATIVE: process.env.HOLDFAST_NATIVE },
    });
  }

  providerRoot(id: string): string {
    return join(this.home, 'providers', id);
  }

  /** Blobs at the providers of the shipped configuration, sorted. */
  async blobs(): Promise<string[]> {
    return (await Promise.all(IDS.map((id) => blobsIn(this.providerRoot(id))))).flat().sort();
  }

  async remove(): Promise<void> {
    await rm(this.home, { recursive: true, force: true });
  }
}

/** Providers of the shipped configuration. */
export const IDS: readonly string[] = Array.from({ length: 9 }, (_, i) => `p${i + 1}`);

/** For what a test says when it fails. */
export const said = ({ code, stdout, stderr }: Outcome): string => `${code}: ${stdout}${stderr}`;

/** TOML of `count` local providers. */
export function providersToml(count: number): string {
  return Array.from(
    { length: count },
    (_, i) => `[[providers]]\nid = "p${i + 1}"\nadapter = "fs"\nroot = "providers/p${i + 1}"\n`,
  ).join('\n');
}

/** Small chunks and packs, so that an object of a few MiB has many segments. */
export const SMALL_PIECES = `
[chunks]
ladder = ["64 KiB", "128 KiB"]
default_bytes = "64 KiB"
[packs]
target_bytes = "64 KiB"
`;
