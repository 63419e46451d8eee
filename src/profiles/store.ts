import type { AbortOptions } from '../core/abort.ts';
import { type Change, changeEntries } from '../engine/change.ts';
import type { Engine, WriteOptions } from '../engine/engine.ts';
import { decodeProfile, encodeProfile } from './codec.ts';
import type { ProviderProfile } from './profile.ts';

/** Table of the profiles; the key is the provider's id. */
const PROFILES_TABLE = 'provider_profiles';

/** What a stored profile becomes, however often it is asked; undefined stands for "none stored". */
export type ProfileChange = (stored: ProviderProfile | undefined) => ProviderProfile;

export interface ProfileStore {
  /** @throws Corrupt when what is stored cannot be read. */
  load(providerId: string, options?: AbortOptions): Promise<ProviderProfile | undefined>;
  /**
   * Replaces profiles by changes of them: other processes write too, and none of their observations is lost.
   * @returns what was written, and why others were not, such as Corrupt for what cannot be read.
   * @throws Conflict when they keep changing, and what the engine throws.
   */
  update(changes: ReadonlyMap<string, ProfileChange>, options?: WriteOptions): Promise<ProfilesWritten>;
  /** Writes a profile whatever is stored, also over one that cannot be read. */
  replace(providerId: string, profile: ProviderProfile, options?: WriteOptions): Promise<void>;
}

interface ProfilesWritten {
  readonly written: ReadonlyMap<string, ProviderProfile>;
  readonly failures: ReadonlyMap<string, unknown>;
}

export function createProfileStore(engine: Engine): ProfileStore {
  const table = engine.table(PROFILES_TABLE);
  return {
    async load(providerId, options = {}) {
      const bytes = await table.get(providerId, options);
      return bytes === undefined ? undefined : decodeProfile(bytes);
    },
    async update(changes, options = {}) {
      const written = new Map<string, ProviderProfile>();
      const each = [...changes].map(([id, change]): [string, Change] => [
        id,
        (bytes) => {
          const next = change(bytes && decodeProfile(bytes));
          written.set(id, next);
          return encodeProfile(next);
        },
      ]);
      const failures = await changeEntries(engine, PROFILES_TABLE, new Map(each), options);
      for (const id of failures.keys()) written.delete(id);
      return { written, failures };
    },
    replace: (providerId, profile, options = {}) => table.put(providerId, encodeProfile(profile), options),
  };
}
