import { type ConfigInput, configFrom } from '../config/object.ts';
import type { Config } from '../config/types.ts';
import {
  type AbortOptions,
  abortable,
  type LinkedAbort,
  linkedAbort,
  NO_LONGER_NEEDED,
} from '../core/abort.ts';
import { timeoutSignal } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { secureRandom } from '../core/random.ts';
import type { VaultSubkeys } from '../keys/derivation.ts';
import { type GetOptions, getObject, type ObjectReader } from '../pipeline/get/get.ts';
import { type PutOptions, type PutResult, putObject } from '../pipeline/put/put.ts';
import type { ObjectInput } from '../pipeline/source.ts';
import type { LogSink } from '../providers/layers/log.ts';
import type { Fork } from '../records/forks.ts';
import { listManifests, type ManifestEntry } from '../records/manifests.ts';
import { type ListedName, listNames } from '../records/names.ts';
import { renewSlots } from '../records/renew-slots.ts';
import { emptyTrash } from '../records/trash.ts';
import { recountUsage } from '../records/usage.ts';
import { type DeleteResult, deleteObject } from '../upkeep/delete.ts';
import { type RecoverResult, recoverVault } from '../upkeep/recover/recover.ts';
import { type ObjectStat, statObject } from '../upkeep/stat.ts';
import { sweepJournal } from '../upkeep/sweep.ts';
import { type VerifyOptions, type VerifyResult, verifyObject } from '../upkeep/verify.ts';
import { type ComposedVault, composeVault, type Observers } from './compose.ts';
import { homePaths, readRootKey } from './home.ts';
import { findConfig, homeOf } from './load-config.ts';
import { silent } from './observers.ts';
import { acceptOptions, checkOpenOptions } from './vault-options.ts';

export interface OpenVaultOptions {
  /** Folder of the key and the state. Default: `HOLDFAST_HOME`, else `.holdfast`. */
  readonly home?: string | undefined;
  /**
   * Configuration file, or parts of a configuration, to which the defaults are added. Default: `HOLDFAST_CONFIG`, else
   * the home's own, else `config/storage.toml`, else the defaults.
   */
  readonly config?: string | Config | ConfigInput | undefined;
  /** Default: `vault.key` in the home. */
  readonly keyFile?: string | undefined;
  /** Asked only when the key file is wrapped. */
  readonly passphrase?: string | (() => Promise<string>) | undefined;
  /** The vault's 32-byte root key, in place of a key file. */
  readonly rootKey?: Uint8Array | undefined;
  /** What was derived from it, in place of both. */
  readonly subkeys?: VaultSubkeys | undefined;
  /** Opens it without a key: what was sealed stays so, and the home is bound to no key. Default false. */
  readonly sealed?: boolean | undefined;
  /** Default: the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  readonly observers?: Partial<Observers> | undefined;
  /**
   * Providers are probed, and what others stored of them is taken over, for as long as the vault is open: from half a
   * minute on, or at once.
   */
  readonly background?: 'later' | 'at once' | undefined;
  /**
   * Whether what deletes and interrupted puts left at providers is deleted by and by. Default true; false for who only
   * reads, whose credentials need not allow more.
   */
  readonly housekeeping?: boolean | undefined;
}

/** A listed name. */
export type NamedObject = ListedName;

/**
 * A client's objects on many providers. Methods may be called concurrently. A `signal` in the last argument ends the
 * work with `Aborted`. A `reference` is a name, or a manifest's address.
 */
export interface Vault {
  readonly id: string;
  /**
   * Stores one object, visible only once all of it is acknowledged and the certificate holds; a failure or an abort
   * before leaves everything as it was.
   * @throws HoldfastError `Unavailable` (`not_enough_providers`), `PermissionDenied` (`certificate_shortfall`),
   * `Aborted`, and what the source throws.
   */
  putObject(input: ObjectInput, options?: PutOptions): Promise<PutResult>;
  /**
   * Opens an object; its content is read as it is iterated, once.
   * @throws HoldfastError `NotFound`, `RangeNotSatisfiable`, `PermissionDenied` (`not_a_reader`), `Unavailable`,
   * `Corrupt`. Every piece was authenticated; of a whole object the last is yielded only once all have the object's hash.
   */
  getObject(reference: string, options?: GetOptions): Promise<ObjectReader>;
  /** What is known of an object without reading it. @throws HoldfastError `NotFound`. */
  stat(reference: string, options?: AbortOptions): Promise<ObjectStat>;
  /** Names that stand for something, in the order of their UTF-8 bytes. */
  list(options?: AbortOptions): AsyncIterable<NamedObject>;
  /** Newest first. @param options `limit`: as many at the most. */
  manifests(options?: AbortOptions & { readonly limit?: number | undefined }): AsyncIterable<ManifestEntry>;
  /**
   * Reads back every shard and checks it. Changes nothing.
   * @throws HoldfastError `NotFound`; `Corrupt` when the manifest itself is not authentic; `Aborted`.
   */
  verify(reference: string, options?: VerifyOptions): Promise<VerifyResult>;
  /**
   * Removes first the name, durably, then the blobs; what cannot be deleted now is queued and tried again.
   * @throws HoldfastError `NotFound`.
   */
  deleteObject(reference: string, options?: AbortOptions): Promise<DeleteResult>;
  /** Rebuilds names from the providers. */
  recover(options?: AbortOptions): Promise<RecoverResult>;
  /** Flushes and lets go of everything. Idempotent. */
  close(): Promise<void>;
  /** For tools that look inside; not covered by the promise of stable names. */
  readonly internals: ComposedVault;
}

/**
 * Opens a vault that `holdfast init` has made.
 * @throws HoldfastError `ConfigInvalid`; `NotFound` (`key_file_missing`); `PermissionDenied` (`wrong_passphrase`).
 */
export async function openVault(options: OpenVaultOptions = {}): Promise<Vault> {
  checkOpenOptions(options);
  const env = options.env ?? process.env;
  const location = { home: options.home, env, cwd: process.cwd() };
  const config =
    options.config === undefined || typeof options.config === 'string'
      ? await findConfig({ ...location, file: options.config })
      : configFrom(options.config, env, homeOf(location));
  const { passphrase = env.HOLDFAST_PASSPHRASE ?? '' } = options;
  const ask = async (): Promise<string> => (typeof passphrase === 'string' ? passphrase : passphrase());
  const derive = async (): Promise<VaultSubkeys> => {
    const { keyFile = homePaths(config.home).keyFile } = options;
    // A key that nothing was ever sealed with opens nothing.
    const root = options.sealed ? secureRandom(32) : (options.rootKey ?? (await readRootKey(keyFile, ask)));
    const { deriveSubkeys } = await import('../keys/derivation.ts');
    return deriveSubkeys(root);
  };
  const subkeys = options.subkeys ?? (await derive());
  const observers = { ...silent, ...options.observers };
  const warn = options.observers?.log ?? warnOfProcess;
  for (const { code, message } of config.warnings) warn('warn', code, { message });
  const bound = options.sealed !== true;
  return new OpenedVault(await composeVault(config, { subkeys, bound }, env, observers), options);
}

/** What an operator must see is seen also where a program logs nothing. */
const warnOfProcess: LogSink = (_, code, { message }) =>
  process.emitWarning(String(message), { type: 'HoldfastWarning', code });

/** What a probe found is believed so long. */
const PROBE_EVERY_MS = 30_000;

/** Tidying up after an operation takes no longer than this, and delays `close` no longer than that, unless a run died. */
const TIDY_MS = 5_000;
const TIDY_AT_CLOSE_MS = 250;

class OpenedVault implements Vault {
  readonly internals: ComposedVault;
  readonly #end = new AbortController();
  readonly #daemon: Promise<void>;
  #probed: Promise<unknown> | undefined;
  #probedMs = 0;
  #closing: Promise<void> | undefined;
  #tidying: Promise<void> | undefined;
  #tidyUntil: LinkedAbort | undefined;
  /** A run has died and left something: seldom, and only seen to by commands that stay for it. */
  #sweeps = false;

  constructor(internals: ComposedVault, { background, housekeeping = true }: OpenVaultOptions) {
    this.internals = internals;
    this.#daemon = internals.catalog.start({
      signal: this.#end.signal,
      // Who opens a vault for one operation is not to pay for this; a put asks by itself.
      firstAfterMs: background === 'at once' ? 0 : PROBE_EVERY_MS,
      ...(housekeeping ? { onRound: () => this.#tidy() } : {}),
    });
  }

  get id(): string {
    return this.internals.context.keys.id;
  }

  async putObject(input: ObjectInput, options: PutOptions = {}): Promise<PutResult> {
    acceptOptions('putObject', options);
    // Meanwhile: an error is thrown where the journal needs it.
    this.internals.context.owner().catch(() => {});
    await this.#probe(options);
    const result = await putObject(this.internals.context, input, options);
    this.#tellOf(result.forks);
    this.#tidy();
    return result;
  }

  async getObject(reference: string, options?: GetOptions): Promise<ObjectReader> {
    acceptOptions('getObject', options);
    return getObject(this.internals.context, reference, options);
  }

  async stat(reference: string, options?: AbortOptions): Promise<ObjectStat> {
    acceptOptions('stat', options);
    return statObject(this.internals.context, reference, options);
  }

  async *list(options?: AbortOptions): AsyncIterable<NamedObject> {
    acceptOptions('list', options);
    for await (const listed of listNames(this.internals.context, options)) {
      if ('name' in listed) yield listed;
    }
  }

  async *manifests(
    options?: AbortOptions & { readonly limit?: number | undefined },
  ): AsyncIterable<ManifestEntry> {
    acceptOptions('manifests', options);
    yield* listManifests(this.internals.context, options);
  }

  async verify(reference: string, options?: VerifyOptions): Promise<VerifyResult> {
    acceptOptions('verify', options);
    return verifyObject(this.internals.context, reference, options);
  }

  async deleteObject(reference: string, options?: AbortOptions): Promise<DeleteResult> {
    acceptOptions('deleteObject', options);
    const result = await deleteObject(this.internals.context, reference, options);
    this.#tellOf(result.forks);
    this.#tidy();
    return result;
  }

  async recover(options?: AbortOptions): Promise<RecoverResult> {
    acceptOptions('recover', options);
    const result = await recoverVault(this.internals.context, options);
    this.#tellOf(result.forks);
    this.#tidy();
    return result;
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  /** What could not be tidied up by then, later commands will. */
  async #shutDown(): Promise<void> {
    const { clock } = this.internals.context;
    this.#end.abort(NO_LONGER_NEEDED);
    await this.#daemon;
    const tidied = new AbortController();
    const tidying = (this.#tidying ?? Promise.resolve()).finally(() => tidied.abort(NO_LONGER_NEEDED));
    await clock.sleep(TIDY_AT_CLOSE_MS, tidied.signal).catch(() => {});
    if (this.#sweeps) await clock.sleep(TIDY_MS, tidied.signal).catch(() => {});
    this.#tidyUntil?.abort(new HoldfastError('Aborted', 'the vault was closed'));
    await tidying;
    await this.internals.close();
  }

  /** Makes sure that it was looked lately who answers; a provider that was away may be back. */
  async #probe({ signal, minTolerates }: PutOptions): Promise<void> {
    const { context, lateSince, probeCandidates } = this.internals;
    const now = context.clock.monotonic();
    const old = this.#probed === undefined || now - this.#probedMs > PROBE_EVERY_MS;
    if (old || lateSince(this.#probedMs)) {
      this.#probedMs = now;
      this.#probed = probeCandidates(minTolerates ?? context.policy.minTolerates);
    }
    await abortable(this.#probed!, signal, 'put').catch(() => {
      if (!signal?.aborted) this.#probed = undefined;
    });
  }

  #tellOf(forks: readonly Fork[]): void {
    for (const fork of forks) this.internals.log('warn', 'name_forked', { ...fork });
  }

  /** Housekeeping after a success, one at a time; nobody but `close` waits for it. */
  #tidy(): void {
    this.#tidying ??= this.#keepHouse().finally(() => {
      this.#tidying = undefined;
    });
  }

  /** One chore does not keep the others from being done; what fails is tried again after the next success. */
  async #keepHouse(): Promise<void> {
    const { context, owners, log } = this.internals;
    this.#tidyUntil = linkedAbort(timeoutSignal(this.internals.context.clock, TIDY_MS), 'tidying up');
    const { signal } = this.#tidyUntil;
    const sweep = async (): Promise<void> => {
      const isDead = async (owner: string): Promise<boolean> => {
        const dead = await owners.isDead(owner);
        if (dead) this.#sweeps = true;
        return dead;
      };
      const swept = await sweepJournal(context, isDead, { signal });
      const { finished, blobs, forks, owners: alive } = swept;
      this.#sweeps = false;
      if (finished > 0) log('debug', 'journals_swept', { finished, blobs, owners: alive.size });
      this.#tellOf(forks);
      await owners.tidy(alive);
    };
    const renew = async (): Promise<void> => this.#tellOf(await renewSlots(context, { signal }));
    const chores = [
      sweep,
      () => emptyTrash(context, { signal }),
      renew,
      () => recountUsage(context, { signal }),
    ];
    for (const chore of chores) {
      try {
        await chore();
      } catch (error) {
        log('debug', 'housekeeping_failed', { error: String(error) });
      }
    }
  }
}
