export { decodeProfile, encodeProfile, PROFILE_VERSION } from './codec.ts';
export { type ChunkLadder, checkLadder, DEFAULT_LADDER, rungAtMost } from './ladder.ts';
export {
  bandwidthOf,
  type ChunkSample,
  EWMA_WEIGHT,
  MIN_SAMPLE_BYTES,
  type Observation,
  observe,
} from './observe.ts';
export { newProfile, type ProviderProfile } from './profile.ts';
export { createProfileStore, PROFILES_TABLE, type ProfileStore } from './store.ts';
