import type { AbortOptions } from '../core/abort.ts';
import { HoldfastError } from '../core/errors.ts';
import type { Engine, Table, WriteOptions } from '../engine/engine.ts';
import { decodeProfile, encodeProfile } from './codec.ts';
import type { ProviderProfile } from './profile.ts';

/** Table of the profiles; the key is the provider's id. */
const PROFILES_TABLE = 'provider_profiles';
/** Rivals each win at least one of these rounds, so this many lost in a row means something else is wrong. */
const MAX_ROUNDS = 64;

export interface ProfileStore {
  /** @throws Corrupt when what is stored cannot be read. */
  load(providerId: string, options?: AbortOptions): Promise<ProviderProfile | undefined>;
  /**
   * Replaces a profile by `change` of it, which may run several times: other processes write too, and none of their
   * observations is lost. Undefined stands for "none stored". @returns what was written.
   * @throws Corrupt when what is stored cannot be read, Conflict after {@link MAX_ROUNDS} lost rounds.
   */
  update(
    providerId: string,
    change: (stored: ProviderProfile | undefined) => ProviderProfile,
    options?: WriteOptions,
  ): Promise<ProviderProfile>;
  /** Writes a profile whatever is stored, also over one that cannot be read. */
  replace(providerId: string, profile: ProviderProfile, options?: WriteOptions): Promise<void>;
}

export function createProfileStore(engine: Engine): ProfileStore {
  const table = engine.table(PROFILES_TABLE);
  return {
    async load(providerId, options = {}) {
      const bytes = await table.get(providerId, options);
      return bytes === undefined ? undefined : decodeProfile(bytes);
    },
    update: (providerId, change, options = {}) => update(table, providerId, change, options),
    replace: (providerId, profile, options = {}) => table.put(providerId, encodeProfile(profile), options),
  };
}

async function update(
  table: Table,
  providerId: string,
  change: (stored: ProviderProfile | undefined) => ProviderProfile,
  options: WriteOptions,
): Promise<ProviderProfile> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const bytes = await table.get(providerId, options);
    const next = change(bytes === undefined ? undefined : decodeProfile(bytes));
    if (await table.compareAndSet(providerId, bytes, encodeProfile(next), options)) return next;
  }
  throw new HoldfastError('Conflict', `the profile of ${providerId} keeps changing under this process`, {
    provider: providerId,
    status: 'temporary',
  });
}
