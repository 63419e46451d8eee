import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { createFsAdapter } from '../../../src/providers/fs/driver.ts';
import { initFsProvider } from '../../../src/providers/fs/layout.ts';
import { createHttpAdapter } from '../../../src/providers/http/driver.ts';
import { createIpfsAdapter } from '../../../src/providers/ipfs/driver.ts';
import { createMemoryAdapter } from '../../../src/providers/memory/driver.ts';
import { createS3Adapter } from '../../../src/providers/s3/driver.ts';
import { createSftpAdapter } from '../../../src/providers/sftp/driver.ts';
import type { ConformanceOptions } from '../../../src/providers/testing/index.ts';
import { createWebDavAdapter } from '../../../src/providers/webdav/driver.ts';
import { deps } from '../../providers/deps.ts';
import { startKuboDouble } from '../../providers/remote/kubo-double.ts';
import { serveNode } from '../../remote/node.ts';
import { type S3Server, SFTP_PLACES, s3Place, WEBDAV_PLACES } from '../accounts.ts';
import type { RunningServer } from '../servers.ts';

/** One adapter against one server: a row of the table. */
export interface Target {
  readonly adapter: string;
  readonly name: string;
  /** The script that starts its server; absent for what needs none. */
  readonly script?: string;
  /** Why there are no slots, where there are none. */
  readonly noSlots?: string;
  open(server: RunningServer | undefined): Promise<Opened>;
}

export interface Opened extends Pick<ConformanceOptions, 'largeBytes' | 'plant'> {
  adapter(): BlobAdapter;
  close(): Promise<void>;
}

const MIB = 1024 * 1024;
const nothing = async (): Promise<void> => {};
const NO_SLOTS_IN_WEBDAV = 'WebDAV promises no atomic condition';

export const TARGETS: readonly Target[] = [
  {
    adapter: 'memory',
    name: 'this process',
    open: async () => ({ adapter: () => createMemoryAdapter({ id: 'm', ...deps }), close: nothing }),
  },
  { adapter: 'fs', name: 'a folder', open: folder },
  s3('ceph-rgw', 'Ceph RGW, bucket in the path', true),
  s3('ceph-rgw', 'Ceph RGW, bucket in the host', false),
  s3('swift-s3', 'OpenStack Swift, bucket in the path', true),
  s3('swift-s3', 'OpenStack Swift, bucket in the host', false),
  webdav('apache-dav', 'Apache mod_dav, TLS'),
  webdav('nginx-dav', 'nginx dav-ext'),
  webdav('rclone-dav', 'rclone'),
  sftp('openssh-sftp', 'OpenSSH'),
  { ...sftp('rclone-sftp', 'rclone'), noSlots: 'rclone says it made a hard link, and makes none' },
  { adapter: 'http', name: 'a Holdfast node on a folder', open: node },
  { adapter: 'ipfs', name: 'a double of Kubo (not Kubo)', noSlots: 'blocks are immutable', open: kubo },
];

function s3(script: S3Server, name: string, pathStyle: boolean): Target {
  const noSlots = script === 'swift-s3' ? { noSlots: 'Swift answers 501 to If-None-Match on PUT' } : {};
  return {
    adapter: 's3',
    name,
    script,
    ...noSlots,
    async open(server) {
      const place = await s3Place(script, server!, pathStyle ? 'conformance' : 'conformance-host', pathStyle);
      const sizes = { prefix: 'päck s/%41#?&+~/', pageKeys: 16, partBytes: 5 * MIB };
      return { adapter: () => createS3Adapter({ id: 's', ...place, ...sizes, ...deps }), close: nothing };
    },
  };
}

function webdav(script: string, name: string): Target {
  return {
    adapter: 'webdav',
    name,
    script,
    noSlots: NO_SLOTS_IN_WEBDAV,
    async open(server) {
      const place = await WEBDAV_PLACES[script]!(server!);
      return { adapter: () => createWebDavAdapter({ id: 'w', ...place, ...deps }), close: nothing };
    },
  };
}

function sftp(script: string, name: string): Target {
  return {
    adapter: 'sftp',
    name,
    script,
    async open(server) {
      const place = await SFTP_PLACES[script]!(server!);
      return { adapter: () => createSftpAdapter({ id: 'f', ...place, ...deps }), close: nothing };
    },
  };
}

async function folder(): Promise<Opened> {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-conformance-'));
  await initFsProvider(root, 'f');
  return {
    adapter: () => createFsAdapter({ id: 'f', root, ...deps }),
    close: () => rm(root, { recursive: true, force: true }),
  };
}

async function node(): Promise<Opened> {
  const behind = await folder();
  const kept = behind.adapter();
  const served = await serveNode(kept);
  const place = { url: `http://127.0.0.1:${served.port}`, credentials: async () => ({}), pageNames: 16 };
  return {
    adapter: () => createHttpAdapter({ id: 'h', ...place, ...deps }),
    plant: async (address, bytes) => void (await kept.store(address, [bytes], { replace: true })),
    async close() {
      await served.close();
      await behind.close();
    },
  };
}

async function kubo(): Promise<Opened> {
  const double = await startKuboDouble();
  const place = { api: double.url, credentials: async () => ({}), maxBlobBytes: 16 * MIB };
  return {
    adapter: () => createIpfsAdapter({ id: 'i', ...place, ...deps }),
    largeBytes: 3 * MIB,
    plant: double.plant,
    close: () => double.close(),
  };
}
