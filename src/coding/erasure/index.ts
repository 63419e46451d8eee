export type { OnUnfit } from '../../core/acceleration.ts';
export type { WasmMemory } from '../../core/wasm.ts';
export { createCode, type ErasureCode, type ErasureCodeOptions, type MaybeShard } from './chunk-code.ts';
export { createLinearCode } from './code.ts';
export { type Coder, createCoder } from './coder.ts';
export type { ShardKind } from './generator.ts';
export type { Kernel, KernelName, ShardOffsets, ShardProgram } from './kernel.ts';
export type { LinearCode, RepairPlan, RepairStep, ShardCost } from './linear-code.ts';
export {
  type CodeParams,
  DEFAULT_LRC,
  type FountainKind,
  type LrcParams,
  MAX_SHARDS,
  type ReedSolomonParams,
  type ReplicaParams,
  validateCodeParams,
  type XorParams,
} from './params.ts';
export type { KernelMaker } from './select-kernel.ts';
export { type KernelOptions, selectKernel, workingKernels } from './select-kernel.ts';
export { packetLengthOf, shardStride } from './shape.ts';
export { type KnownTiles, TileMemory, type XorTile } from './xor-program.ts';
