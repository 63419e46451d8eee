import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { createS3Client, type S3Place } from '../../src/providers/s3/client.ts';
import type { S3Options } from '../../src/providers/s3/driver.ts';
import type { SftpOptions } from '../../src/providers/sftp/driver.ts';
import type { WebDavOptions } from '../../src/providers/webdav/driver.ts';
import type { RunningServer } from './servers.ts';

/** How the servers that the scripts beside this start are to be spoken to. */

export const S3_KEYS = {
  'ceph-rgw': { accessKeyId: 'access', secretAccessKey: 'secret' },
  'swift-s3': { accessKeyId: 'test:tester', secretAccessKey: 'testing' },
} as const;

export type S3Server = keyof typeof S3_KEYS;

/** Swift refuses `If-None-Match` on PUT (501), so it can keep no slots. */
export const keepsSlots = (name: S3Server): boolean => name === 'ceph-rgw';

/** A bucket at the server, made if it is not there. @param pathStyle false: its name stands in the host's. */
export async function s3Place(
  name: S3Server,
  { port }: RunningServer,
  bucket: string,
  pathStyle = true,
): Promise<S3Place & Pick<S3Options, 'slots'>> {
  const at = (host: string): S3Place => ({
    endpoint: `http://${host}:${port}`,
    region: 'us-east-1',
    bucket,
    credentials: async () => S3_KEYS[name],
  });
  await makeBucket(at('127.0.0.1'));
  return { ...at(pathStyle ? '127.0.0.1' : 'localhost'), pathStyle, slots: keepsSlots(name) };
}

/** Adapters never make buckets; tests must. */
async function makeBucket(place: S3Place): Promise<void> {
  const client = createS3Client(place, systemClock);
  await (await client.call({ method: 'PUT' })).discard();
  await client.close();
}

const login = (password?: string) => async () =>
  password === undefined ? {} : { username: 'user', password };

export const WEBDAV_PLACES: Readonly<
  Record<string, (server: RunningServer) => Promise<Omit<WebDavOptions, 'id'>>>
> = {
  'apache-dav': async ({ port, dir }) => ({
    url: `https://localhost:${port}/p%C3%A4ck%20s`,
    ca: await readFile(join(dir, 'cert.pem'), 'utf8'),
    credentials: login('pass word'),
  }),
  'nginx-dav': async ({ port }) => ({ url: `http://127.0.0.1:${port}/`, credentials: login() }),
  'rclone-dav': async ({ port }) => ({ url: `http://127.0.0.1:${port}/`, credentials: login('secret') }),
};

export const SFTP_PLACES: Readonly<
  Record<string, (server: RunningServer) => Promise<Omit<SftpOptions, 'id'>>>
> = {
  'openssh-sftp': async (server) => {
    const private_key = await readFile(join(server.dir, 'client'), 'utf8');
    return {
      ...(await sftpHost(server)),
      username: userInfo().username,
      root: join(server.dir, 'root'),
      slots: true,
      credentials: async () => ({ private_key }),
    };
  },
  'rclone-sftp': async (server) => ({
    ...(await sftpHost(server)),
    username: 'user',
    root: '/',
    slots: false,
    credentials: async () => ({ password: 'secret' }),
  }),
};

async function sftpHost(server: RunningServer): Promise<Pick<SftpOptions, 'host' | 'port' | 'hostKeys'>> {
  return { host: '127.0.0.1', port: server.port, hostKeys: [await hostKeyOf(server)] };
}

export async function hostKeyOf({ dir }: RunningServer): Promise<string> {
  const [, key = ''] = (await readFile(join(dir, 'host.pub'), 'utf8')).split(' ');
  const digest = createHash('sha256').update(Buffer.from(key, 'base64')).digest('base64');
  return `SHA256:${digest.replaceAll('=', '')}`;
}
