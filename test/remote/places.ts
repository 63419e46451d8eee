import { readFile, rename, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createFsAdapter } from '../../src/providers/fs/driver.ts';
import { initFsProvider } from '../../src/providers/fs/layout.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { startFaultProxy } from '../helpers/fault-proxy.ts';
import { deps } from '../providers/deps.ts';
import { hostKeyOf, keepsSlots, type S3Server, s3Place } from '../servers/accounts.ts';
import { type RunningServer, startServer } from '../servers/servers.ts';
import { serveNode } from './node.ts';

/** A provider of the mixed set: its configuration, and how to take it away and bring it back. */
export interface Place {
  readonly id: string;
  /** What it fails together with. */
  readonly domain: string;
  /** The keys of its own in `[[providers]]`. */
  readonly keys: string;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Ends the server for good. Idempotent. */
  end(): Promise<void>;
}

/** Secrets, as the configurations name them. */
export const ENV: Readonly<Record<string, string>> = {
  CEPH_KEY: 'access',
  CEPH_SECRET: 'secret',
  SWIFT_KEY: 'test:tester',
  SWIFT_SECRET: 'testing',
  DAV_USER: 'user',
  APACHE_PASSWORD: 'pass word',
  RCLONE_PASSWORD: 'secret',
};

type Keys = (server: RunningServer, port: number) => Promise<string>;

const s3 =
  (name: S3Server, variable: string): Keys =>
  async (server, port) => {
    await s3Place(name, server, 'mixed');
    return `adapter = "s3"
endpoint = "http://127.0.0.1:${port}"
region = "us-east-1"
bucket = "mixed"
path_style = true
slots = ${keepsSlots(name)}
credentials = { env = { access_key_id = "${variable}_KEY", secret_access_key = "${variable}_SECRET" } }`;
  };

const SERVERS: Readonly<Record<string, { readonly domain: string; readonly keys: Keys }>> = {
  'ceph-rgw': { domain: 'ceph', keys: s3('ceph-rgw', 'CEPH') },
  'swift-s3': { domain: 'swift', keys: s3('swift-s3', 'SWIFT') },
  'apache-dav': {
    domain: 'apache',
    keys: async ({ dir }, port) => `adapter = "webdav"
url = "https://localhost:${port}/p%C3%A4ck%20s"
ca_file = "${join(dir, 'cert.pem')}"
credentials = { env = { username = "DAV_USER", password = "APACHE_PASSWORD" } }`,
  },
  'nginx-dav': {
    domain: 'nginx',
    keys: async (_, port) => `adapter = "webdav"\nurl = "http://127.0.0.1:${port}/"`,
  },
  'rclone-dav': {
    domain: 'rclone',
    keys: async (_, port) => `adapter = "webdav"
url = "http://127.0.0.1:${port}/"
credentials = { env = { username = "DAV_USER", password = "RCLONE_PASSWORD" } }`,
  },
  'rclone-sftp': {
    domain: 'rclone',
    keys: async (server, port) => `adapter = "sftp"
host = "127.0.0.1"
port = ${port}
username = "user"
root = "/"
slots = false
host_keys = ["${await hostKeyOf(server)}"]
credentials = { env = { password = "RCLONE_PASSWORD" } }`,
  },
  'openssh-sftp': {
    domain: 'openssh',
    keys: async (server, port) => {
      const private_key = await readFile(join(server.dir, 'client'), 'utf8');
      const secrets = join(server.dir, 'credentials.json');
      await writeFile(secrets, JSON.stringify({ private_key }), { mode: 0o600 });
      return `adapter = "sftp"
host = "127.0.0.1"
port = ${port}
username = "${userInfo().username}"
root = "${join(server.dir, 'root')}"
host_keys = ["${await hostKeyOf(server)}"]
credentials = { file = "${secrets}" }`;
    },
  },
};

/** Every kind of provider that this machine can serve, each behind a switch. @param dir for the folders. */
export async function startPlaces(
  dir: string,
): Promise<{ places: Place[]; servers: Map<string, RunningServer> }> {
  const servers = new Map<string, RunningServer>();
  const remote = await Promise.all(
    Object.entries(SERVERS).map(async ([name, { domain, keys }]) => {
      const server = await startServer(name);
      if (server === undefined) return [];
      servers.set(name, server);
      return [
        await behindSwitch(
          name,
          domain,
          server.port,
          (port) => keys(server, port),
          () => server.stop(),
        ),
      ];
    }),
  );
  return { places: [...remote.flat(), await folder(dir), ...(await ourNodes(dir))], servers };
}

async function behindSwitch(
  id: string,
  domain: string,
  target: number,
  keys: (port: number) => Promise<string>,
  end: () => Promise<void>,
): Promise<Place> {
  const proxy = await startFaultProxy(target);
  let ending: Promise<void> | undefined;
  return {
    id,
    domain,
    keys: await keys(proxy.port),
    stop: async () => proxy.stop(),
    start: async () => proxy.start(),
    end() {
      ending ??= proxy.close().then(end);
      return ending;
    },
  };
}

/** A folder; taken away as a disk is that is not mounted. */
async function folder(dir: string): Promise<Place> {
  const root = join(dir, 'fs');
  const away = join(dir, 'fs-away');
  await initFsProvider(root, 'fs');
  return {
    id: 'fs',
    domain: 'fs',
    keys: `adapter = "fs"\nroot = "${root}"`,
    stop: () => rename(root, away),
    start: () => rename(away, root),
    end: async () => {},
  };
}

/** Our storage node, once on a disk and once in memory. */
async function ourNodes(dir: string): Promise<Place[]> {
  const root = join(dir, 'node');
  await initFsProvider(root, 'behind');
  const behind: Record<string, BlobAdapter> = {
    'node-disk': createFsAdapter({ id: 'behind', root, ...deps }),
    'node-memory': createMemoryAdapter({ id: 'behind', ...deps }),
  };
  return Promise.all(
    Object.entries(behind).map(async ([id, adapter]) => {
      const node = await serveNode(adapter);
      const keys = async (port: number): Promise<string> =>
        `adapter = "http"\nurl = "http://127.0.0.1:${port}"\ndurable = ${id === 'node-disk'}`;
      return behindSwitch(id, id, node.port, keys, () => node.close());
    }),
  );
}
