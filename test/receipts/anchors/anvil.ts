import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { absent } from '../../helpers/absent.ts';

/** A chain of our own: Foundry's development node, whose program is inside its package. */

const PLATFORMS: Readonly<Record<string, string>> = {
  'linux-x64': 'linux-amd64',
  'linux-arm64': 'linux-arm64',
  'darwin-x64': 'darwin-amd64',
  'darwin-arm64': 'darwin-arm64',
};

/** Path of the program, or undefined: then it is told what is not tested. */
export function anvilProgram(untested: string): string | undefined {
  const platform = PLATFORMS[`${process.platform}-${process.arch}`];
  try {
    return createRequire(import.meta.url).resolve(`@foundry-rs/anvil-${platform}/bin/anvil`);
  } catch {
    absent('@foundry-rs/anvil has no program for this machine', untested);
    return undefined;
  }
}

/** Of the first two accounts of every such chain. */
export const KEYS = [
  'ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
  '59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d',
] as const;

export const CHAIN_ID = 31_337;

export class Anvil {
  readonly #child: ChildProcess;
  readonly url: string;
  #id = 0;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  /** Blocks come when `mine` is called. */
  static async start(program: string): Promise<Anvil> {
    const child = spawn(program, ['--port', '0', '--no-mining', '--hardfork', 'paris'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    for await (const piece of child.stdout!) {
      text += piece;
      const port = /Listening on 127\.0\.0\.1:(\d+)/.exec(text)?.[1];
      if (port !== undefined) {
        child.stdout!.resume();
        return new Anvil(child, `http://127.0.0.1:${port}`);
      }
    }
    throw new Error(`anvil ended: ${text}`);
  }

  async ask<T>(method: string, ...params: unknown[]): Promise<T> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: ++this.#id, method, params });
    const headers = { 'content-type': 'application/json' };
    const answer = (await (await fetch(this.url, { method: 'POST', headers, body })).json()) as {
      result: T;
      error?: { message: string };
    };
    if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  }

  mine = (blocks = 1): Promise<unknown> => this.ask('anvil_mine', `0x${blocks.toString(16)}`);
  /** The newest blocks are others, and empty. */
  reorganise = (blocks: number): Promise<unknown> => this.ask('anvil_reorg', blocks, []);
  height = async (): Promise<number> => Number(await this.ask<string>('eth_blockNumber'));
  sent = async (address: string): Promise<number> =>
    Number(await this.ask<string>('eth_getTransactionCount', address, 'latest'));

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
