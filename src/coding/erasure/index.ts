export { createCode, type ErasureCode, type ErasureCodeOptions, type MaybeShard } from './chunk-code.ts';
export {
  createLinearCode,
  type LinearCode,
  type RepairPlan,
  type RepairStep,
  type ShardCost,
  type ShardKind,
} from './code.ts';
export { type Coder, createCoder } from './coder.ts';
export {
  type Kernel,
  type KernelMaker,
  type KernelName,
  type KernelOptions,
  type ShardOffsets,
  selectKernel,
  workingKernels,
} from './kernel.ts';
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
export type { ShardProgram } from './program.ts';
export { packetLengthOf, shardStride } from './shape.ts';
