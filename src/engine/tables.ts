/** Tables of which several change in one step, and which one engine therefore keeps. */
export const WRITTEN_TOGETHER: readonly string[] = [
  'names',
  'vault',
  'name_index',
  'manifests',
  'manifest_order',
  'manifest_times',
  'manifest_usage',
  'relocations',
  'damage',
  'shard_classes',
  'shard_index',
  'shard_due',
  'ending',
  'moves',
  'open_moves',
  'repair_leases',
  'move_marks',
  'repair_backoff',
  'repair_egress',
  'repair_pace',
  'lost_providers',
  'slots_due',
  'journal',
  'resume',
  'retired',
  'trash',
  'upkeep',
];

/** Every table that is kept, by the name that `engine.overrides` knows it by. */
export const TABLE_NAMES: readonly string[] = [
  'places',
  ...WRITTEN_TOGETHER,
  'provider_profiles',
  'provider_usage',
  'provider_last_failure',
];
