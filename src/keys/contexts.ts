/**
 * Every `derive_key` context in use, each for one purpose. A string here never changes its meaning;
 * a new meaning gets a new string. `docs/format/keys.md` lists them for other implementations.
 */
export const CONTEXT = {
  vaultWrap: 'holdfast 2026-11 vault wrap key',
  vaultName: 'holdfast 2026-11 vault name key',
  vaultPointer: 'holdfast 2026-11 vault pointer key',
  vaultSlot: 'holdfast 2026-11 vault slot key',
  vaultId: 'holdfast 2026-11 vault id',
  objectCommitment: 'holdfast 2026-11 object key commitment',
  objectManifestMac: 'holdfast 2026-11 object manifest mac key',
  objectSealed: 'holdfast 2026-11 object sealed part key',
  objectProvider: 'holdfast 2026-11 object provider key',
  providerChunk: 'holdfast 2026-11 provider chunk key',
} as const;
