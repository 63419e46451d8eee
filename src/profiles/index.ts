export { decodeProfile, encodeProfile, PROFILE_VERSION } from './codec.ts';
export { type ChunkLadder, checkLadder, DEFAULT_LADDER, rungAtMost } from './ladder.ts';
export {
  bandwidthOf,
  type ChunkSample,
  countsProbe,
  type Delivery,
  MIN_SAMPLE_BYTES,
  type Observation,
  observe,
  PASSING_EVERY_MS,
  type ProbeMode,
} from './observe.ts';
export { newProfile, type ProviderProfile } from './profile.ts';
export { FIRST_SAMPLES } from './rtt.ts';
export { createProfileStore, PROFILES_TABLE, type ProfileStore } from './store.ts';
