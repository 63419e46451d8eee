import type { BlobAdapter } from './adapter.ts';
import { type CredentialSource, credentialsFrom, field, inForm } from './credentials.ts';
import type { AdapterDeps } from './driver.ts';
import type { BreakerOptions } from './layers/breaker.ts';
import type { LogSink } from './layers/log.ts';
import type { AttemptObserver } from './layers/metrics.ts';
import type { RetryOptions } from './layers/retry.ts';
import type { TimeoutOptions } from './layers/timeout.ts';
import { withLayers } from './layers/with-layers.ts';
import type { DomainLabels, Provider } from './provider.ts';
import { readTls, type TlsFiles } from './tls-files.ts';

/** One provider as the configuration describes it. */
export type ProviderEntry = ProviderTerms & AdapterEntry;

export interface ProviderTerms {
  readonly id: string;
  readonly domain: DomainLabels;
  readonly credits?: number | undefined;
  readonly price: number;
  readonly maxConcurrency: number;
  readonly upBytesPerSecond?: number | undefined;
  readonly downBytesPerSecond?: number | undefined;
}

export type AdapterEntry = MemoryEntry | FsEntry | S3Entry | WebDavEntry | SftpEntry | HttpEntry | IpfsEntry;

export interface MemoryEntry {
  readonly adapter: 'memory';
}

export interface FsEntry {
  readonly adapter: 'fs';
  readonly root: string;
}

export interface S3Entry extends TlsFiles {
  readonly adapter: 's3';
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly prefix?: string | undefined;
  readonly pathStyle?: boolean | undefined;
  readonly slots?: boolean | undefined;
  /** Fields `access_key_id`, `secret_access_key`, `session_token` if there is one. */
  readonly credentials: CredentialSource;
}

export interface WebDavEntry extends TlsFiles {
  readonly adapter: 'webdav';
  readonly url: string;
  /** Fields `username` and `password`, or `token`. */
  readonly credentials?: CredentialSource | undefined;
}

export interface SftpEntry {
  readonly adapter: 'sftp';
  readonly host: string;
  /** Default 22. */
  readonly port?: number | undefined;
  readonly username: string;
  readonly root: string;
  readonly hostKeys: readonly string[];
  readonly slots?: boolean | undefined;
  /** Field `password`, or `private_key` and its `passphrase` if it has one. */
  readonly credentials: CredentialSource;
}

export interface HttpEntry extends TlsFiles {
  readonly adapter: 'http';
  readonly url: string;
  readonly socketPath?: string | undefined;
  readonly durable?: boolean | undefined;
  /** Field `token`. */
  readonly credentials?: CredentialSource | undefined;
}

export interface IpfsEntry extends TlsFiles {
  readonly adapter: 'ipfs';
  readonly api?: string | undefined;
  readonly gateway?: string | undefined;
  readonly maxBlobBytes?: number | undefined;
  /** Fields `username` and `password`, or `token`. */
  readonly credentials?: CredentialSource | undefined;
}

export interface ProviderDeps
  extends AdapterDeps,
    Pick<BreakerOptions, 'onBreaker'>,
    Pick<RetryOptions, 'maxAttempts'>,
    Pick<TimeoutOptions, 'callTimeoutMs'> {
  /** For credentials that stand in environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onAttempt: AttemptObserver;
  readonly log: LogSink;
}

/** The bare adapter of an entry. What an adapter needs is loaded only when one of its kind is configured. */
export async function createAdapter(
  entry: { readonly id: string } & AdapterEntry,
  deps: ProviderDeps,
): Promise<BlobAdapter> {
  const { id } = entry;
  switch (entry.adapter) {
    case 'memory': {
      const { createMemoryAdapter } = await import('./memory/index.ts');
      return createMemoryAdapter({ id, ...deps });
    }
    case 'fs': {
      const { createFsAdapter } = await import('./fs/index.ts');
      return createFsAdapter({ id, root: entry.root, ...deps });
    }
    case 's3': {
      const { createS3Adapter } = await import('./s3/index.ts');
      const credentials = inForm(credentialsFrom(entry.credentials, id, deps), (given) => ({
        accessKeyId: field(given, 'access_key_id', id),
        secretAccessKey: field(given, 'secret_access_key', id),
        sessionToken: given.session_token,
      }));
      return createS3Adapter({ ...entry, credentials, ...(await readTls(entry, id)), ...deps });
    }
    case 'webdav': {
      const { createWebDavAdapter } = await import('./webdav/index.ts');
      const credentials = credentialsFrom(entry.credentials, id, deps);
      return createWebDavAdapter({ ...entry, credentials, ...(await readTls(entry, id)), ...deps });
    }
    case 'http': {
      const { createHttpAdapter } = await import('./http/index.ts');
      const credentials = credentialsFrom(entry.credentials, id, deps);
      return createHttpAdapter({ ...entry, credentials, ...(await readTls(entry, id)), ...deps });
    }
    case 'ipfs': {
      const { createIpfsAdapter } = await import('./ipfs/index.ts');
      const credentials = credentialsFrom(entry.credentials, id, deps);
      return createIpfsAdapter({ ...entry, credentials, ...(await readTls(entry, id)), ...deps });
    }
    case 'sftp': {
      const { createSftpAdapter } = await import('./sftp/index.ts');
      const credentials = credentialsFrom(entry.credentials, id, deps);
      return createSftpAdapter({ ...entry, port: entry.port ?? 22, credentials, ...deps });
    }
  }
}

/** An entry made into a provider, with all its layers. Nothing is sent to it yet. */
export async function createProvider(entry: ProviderEntry, deps: ProviderDeps): Promise<Provider> {
  const { id, domain, credits, price, maxConcurrency } = entry;
  const adapter = withLayers(await createAdapter(entry, deps), { ...entry, ...deps });
  return { id, adapter, domain, credits, price, maxConcurrency };
}
