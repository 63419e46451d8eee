export type { Capability, CaseContext, ConformanceCase } from './context.ts';
export {
  type CaseOutcome,
  type CaseResult,
  type ConformanceOptions,
  type ConformanceResult,
  conformanceCases,
  runCase,
  runConformance,
} from './run.ts';
