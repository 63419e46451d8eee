import { resolve } from 'node:path';
import type { Config } from '../config/types.ts';
import type { AbortOptions } from '../core/abort.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import type { Engine } from '../engine/index.ts';
import { readSecret } from '../providers/credentials.ts';
import type { Anchor, AnchorItem, AnchorState } from '../receipts/anchors/anchor.ts';
import { engineLogMemory } from '../receipts/anchors/log-memory.ts';
import { type BlobRootsStatus, blobRootsStatus } from '../receipts/blob-roots.ts';
import { openLog } from './open-anchor.ts';
import { openChainAnchor } from './open-chain-anchor.ts';
import { withEngine } from './with-engine.ts';

type Env = Readonly<Record<string, string | undefined>>;
type Anchored = Pick<Config, 'anchor' | 'home'>;

/**
 * The anchor that the configuration asks for, opened when it is first needed; undefined for none.
 * @param engine remembers how a log was.
 */
export function anchorOf(config: Anchored, env: Env, engine?: Engine): Anchor | undefined {
  const { kind, confirmations } = config.anchor;
  if (kind === 'none') return undefined;
  const open = kind === 'local' ? openLocal : openChain;
  // In a log nothing lies deeper than at once: more would be waited for without end.
  const depth = kind === 'local' ? 1 : confirmations || USUAL_ON_CHAIN;
  return new LateAnchor(kind, depth, () => open(config, env, engine));
}

const USUAL_ON_CHAIN = 12;

/** Where the log of roots is. */
export const logFolderOf = ({ anchor, home }: Anchored): string => resolve(home, anchor.folder || 'anchor');

/** Names the anchor for as long as it is the same one; undefined for none. */
export function anchorIdOf(config: Anchored): string | undefined {
  const { kind, chainId, contract } = config.anchor;
  if (kind === 'none') return undefined;
  return kind === 'local' ? logIdOf(logFolderOf(config)) : `evm ${chainId} ${contract.toLowerCase()}`;
}

export const logIdOf = (folder: string): string => `local ${folder}`;

async function openLocal(config: Anchored, _env: Env, engine: Engine | undefined): Promise<Anchor> {
  const { origin } = config.anchor;
  return openLog(
    { folder: logFolderOf(config), origin: origin || undefined },
    engine && engineLogMemory(engine),
  );
}

async function openChain({ anchor, home }: Anchored, env: Env): Promise<Anchor> {
  const { url, chainId, contract, maxFeeGwei, stuckSeconds, confirmations } = anchor;
  return openChainAnchor({
    ...{ url, chainId, contract, maxFeeGwei, stuckMs: 1000 * stuckSeconds },
    confirmations: confirmations || USUAL_ON_CHAIN,
    key: await chainKeyOf({ anchor, home }, env),
  });
}

/** The key of the account that pays. @throws HoldfastError `ConfigInvalid`, code `credentials_invalid`. */
export async function chainKeyOf({ anchor, home }: Anchored, env: Env): Promise<string> {
  const { keyEnv, keyFile } = anchor;
  if (keyFile !== '') return readSecret(resolve(home, keyFile), 'key', 'anchor');
  const key = env[keyEnv];
  if (key !== undefined && key !== '') return key;
  throw new HoldfastError(
    'ConfigInvalid',
    `there is no key to anchor with: the variable ${keyEnv} is not set`,
    {
      code: 'credentials_invalid',
      hint: 'Set it, or name a file in `anchor.key_file`.',
    },
  );
}

class LateAnchor implements Anchor {
  readonly name: 'local' | 'evm';
  readonly confirmations: number;
  readonly #open: () => Promise<Anchor>;
  #opened: Promise<Anchor> | undefined;
  #isClosed = false;

  constructor(name: 'local' | 'evm', confirmations: number, open: () => Promise<Anchor>) {
    this.name = name;
    this.confirmations = confirmations;
    this.#open = open;
  }

  async submit(items: readonly AnchorItem[], signal?: AbortSignal): Promise<void> {
    await (await this.#get()).submit(items, signal);
  }

  async look(items: readonly AnchorItem[], signal?: AbortSignal): Promise<AnchorState[]> {
    return (await this.#get()).look(items, signal);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await (await this.#opened?.catch(() => undefined))?.close();
  }

  /** What failed is tried again. */
  #get(): Promise<Anchor> {
    if (this.#isClosed)
      throw new HoldfastError('Unavailable', 'the anchor is closed', { code: 'closed', status: 'permanent' });
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }
}

/** What waits to be anchored, by the state of the home; undefined where there is none, or no objects are anchored. */
export async function anchoredObjects(
  config: Config,
  env: Env,
  options: AbortOptions,
): Promise<BlobRootsStatus | undefined> {
  const id = anchorIdOf(config);
  if (id === undefined || !config.anchor.objects) return undefined;
  try {
    return await withEngine(config, env, (engine) => blobRootsStatus(engine, id, options));
  } catch (error) {
    if (isHoldfastError(error) && error.code === 'state_missing') return undefined;
    throw error;
  }
}
