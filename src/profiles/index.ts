export { type ChunkLadder, checkLadder, DEFAULT_LADDER, rungAtMost } from './ladder.ts';
export {
  bandwidthOf,
  type ChunkSample,
  countsProbe,
  type Observation,
  observe,
  type ProbeMode,
} from './observe.ts';
export { newProfile, type ProviderProfile } from './profile.ts';
export { FIRST_SAMPLES } from './rtt.ts';
export { createProfileStore, type ProfileStore } from './store.ts';
