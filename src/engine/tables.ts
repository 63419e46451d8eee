/** Every table that is kept, by the name that `engine.overrides` knows it by. */
export const TABLE_NAMES: readonly string[] = [
  'vault',
  'names',
  'manifests',
  'manifest_order',
  'manifest_times',
  'manifest_usage',
  'slots_due',
  'journal',
  'trash',
  'upkeep',
  'provider_profiles',
  'provider_usage',
  'provider_last_failure',
];
