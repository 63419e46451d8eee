import { execFile, execFileSync } from 'node:child_process';
import { absent } from '../helpers/absent.ts';

export interface S3Account {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** rclone as an S3 client: it speaks S3 through Amazon's own SDK for Go. */
export interface Rclone {
  /** @param key with its bucket in front. */
  read(key: string): Promise<Buffer>;
  /** In parts of 5 MiB. */
  write(key: string, file: string): Promise<void>;
}

const MAX_BYTES = 64 * 1024 * 1024;

/** @returns undefined when it is not installed. */
export function rcloneFor({ endpoint, accessKeyId, secretAccessKey }: S3Account): Rclone | undefined {
  if (!installed()) return undefined;
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    RCLONE_CONFIG_S_TYPE: 's3',
    RCLONE_CONFIG_S_PROVIDER: 'Other',
    RCLONE_CONFIG_S_REGION: 'us-east-1',
    RCLONE_CONFIG_S_ENDPOINT: endpoint,
    RCLONE_CONFIG_S_ACCESS_KEY_ID: accessKeyId,
    RCLONE_CONFIG_S_SECRET_ACCESS_KEY: secretAccessKey,
  };
  const run = (...args: string[]): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const all = ['--config', '/dev/null', '--retries', '1', ...args];
      execFile('rclone', all, { env, encoding: 'buffer', maxBuffer: MAX_BYTES }, (error, stdout) =>
        error === null ? resolve(stdout) : reject(error),
      );
    });
  return {
    read: (key) => run('cat', `s:${key}`),
    async write(key, file) {
      const parts = ['--s3-upload-cutoff', '5M', '--s3-chunk-size', '5M', '--s3-no-check-bucket'];
      await run('copyto', file, `s:${key}`, ...parts);
    },
  };
}

function installed(): boolean {
  try {
    execFileSync('rclone', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    absent('rclone is not installed', 'what another S3 client reads and writes');
    return false;
  }
}
