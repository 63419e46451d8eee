import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { CliVault, type RunOptions } from '../../helpers/cli.ts';
import { type ServiceProcess, startService } from '../../helpers/services.ts';
import type { Target } from './cases.ts';

/** A service as anyone on this machine finds it: without a token. */
export interface UnderAttack extends ServiceProcess {
  readonly port: number;
  readonly home: string;
  readonly target: Target;
  running(): boolean;
  /** Files of blobs that it has open. */
  openBlobs(): Promise<number>;
  /** Memory it has now. */
  rssBytes(): Promise<number>;
}

const BLOB_BYTES = 300_000;

type Env = RunOptions['env'];

export async function nodeUnderAttack(env?: Env): Promise<UnderAttack> {
  const home = await mkdtemp(join(tmpdir(), 'holdfast-attacked-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const flags = ['--root', join(home, 'blobs'), '--init', '--access-log', join(home, 'access.log')];
  const service = await startService(['node', '--home', home, ...flags], { env });
  const body = randomBytes(BLOB_BYTES);
  const stored = await fetch(`${service.url}/o`, { method: 'POST', body });
  const read = stored.headers.get('location') ?? '';
  return underAttack(service, home, { read, post: '/o', postHeaders: '' });
}

export async function gatewayUnderAttack(env?: Env): Promise<UnderAttack> {
  const vault = await CliVault.create();
  onTestFinished(() => vault.remove());
  const { home } = vault;
  const file = join(home, 'object');
  await writeFile(file, randomBytes(BLOB_BYTES));
  await vault.run(['put', file, '--name', 'object']);
  const flags = ['--access-log', join(home, 'access.log')];
  const service = await startService(['gateway', ...vault.flags, ...flags], { env });
  const postHeaders = 'Content-Type: application/json\r\n';
  return underAttack(service, home, { read: '/n/object', post: '/rpc', postHeaders });
}

function underAttack(service: ServiceProcess, home: string, target: Target): UnderAttack {
  return {
    ...service,
    home,
    target,
    port: Number(new URL(service.url).port),
    running() {
      try {
        return process.kill(service.pid, 0);
      } catch {
        return false;
      }
    },
    async openBlobs() {
      const folder = `/proc/${service.pid}/fd`;
      const files = await Promise.all(
        (await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => '')),
      );
      return files.filter((path) => path.includes('/blobs/')).length;
    },
    async rssBytes() {
      const status = await readFile(`/proc/${service.pid}/status`, 'utf8');
      return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
    },
  };
}
