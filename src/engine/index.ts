export type {
  BatchOp,
  Engine,
  EngineName,
  EntriesOptions,
  Precondition,
  Table,
  WriteOptions,
} from './engine.ts';
export { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_KEY_BYTES, MAX_VALUE_BYTES } from './engine.ts';
export { createLevelEngine, type LevelEngineOptions } from './level/engine.ts';
export { holdFolder } from './level/hold.ts';
export { createOwnerLocks, type OwnerStanding, type Owners } from './level/owner-locks.ts';
export { createMemoryEngine, createMemoryStore } from './memory.ts';
export type { PostgresEngineOptions } from './postgres/engine.ts';
export { loadPostgresEngine } from './postgres/load.ts';
export { createRoutedEngine } from './routed.ts';
