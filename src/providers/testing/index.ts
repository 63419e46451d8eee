export { portableBlake3 } from '../../core/b3/portable.ts';
export { systemClock } from '../../core/clock.ts';
export { secureRandom } from '../../core/random.ts';
export type { Blob, Capability, CaseContext, ConformanceCase, Plant } from './context.ts';
export {
  type CaseOutcome,
  type CaseResult,
  type ConformanceOptions,
  type ConformanceResult,
  conformanceCases,
  runCase,
  runConformance,
} from './run.ts';
