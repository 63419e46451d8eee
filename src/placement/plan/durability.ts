import { HoldfastError } from '../../core/errors.ts';

/** What is assumed of providers. Losses are independent of each other: see {@link durability}. */
export interface DurabilityModel {
  /** Probability that a given failure domain is lost for good within a year; over 0, under 1. */
  readonly annualLoss: number;
  /** What is lost stays lost where there is none. */
  readonly repair?: RepairModel | undefined;
}

export interface RepairModel {
  /** Mean time until a loss is noticed, and then until its shards are elsewhere. */
  readonly detectionHours: number;
  readonly repairHours: number;
}

/** Nothing repairs by itself: who does not put objects anew has what was put. */
export const DEFAULT_MODEL: DurabilityModel = { annualLoss: 0.05 };
/** For who does, and says only one of the two. */
export const USUAL_REPAIR: RepairModel = { detectionHours: 24, repairHours: 48 };

export interface Durability {
  /** Mean time to the loss of an object. */
  readonly mttdlYears: number;
  /** Probability that an object is lost within a year; without repair, within the year after it was put. */
  readonly annualObjectLoss: number;
  /** −log10 of that. */
  readonly nines: number;
}

const HOURS_PER_YEAR = 8766;

/**
 * Mean time to data loss of a birth-and-death Markov chain over the number j of lost domains, for a code that is not
 * MDS. Each of the P − j others is lost at rate λ = −ln(1 − annualLoss); of the sets of j that decode, the share
 * s_j = f_{j+1} / f_j still decodes after one loss more; every lost domain is repaired by itself at rate
 * μ = 1 / (detection + repair). f_j is the share of sets of j domains whose loss leaves the object readable.
 *
 * After J. L. Hafner and K. Rao, "Notes on Reliability Models for Non-MDS Erasure Codes", IBM Research Report RJ10391,
 * 2006; the same chain as in C. Huang et al., "Erasure Coding in Windows Azure Storage", USENIX ATC 2012.
 * Excluded: correlated failure (one cause for several domains), latent errors, faults in software, lost keys. Real
 * durability is bounded by these long before the largest figures here. Without repair, μ = 0, and the loss within the
 * first year is the binomial sum of the fatal shares.
 *
 * @param decodable f_0 = 1, f_1, …; what lies beyond the end counts as lost. @param fatal 1 − f_j, exact where f_j
 * would round to 1.
 */
export function durability(domains: number, fatal: readonly number[], model: DurabilityModel): Durability {
  checkModel(model);
  const lossRate = -Math.log1p(-model.annualLoss);
  const { repair } = model;
  const repairRate = repair === undefined ? 0 : HOURS_PER_YEAR / (repair.detectionHours + repair.repairHours);
  // From the top down, with E_j = waited + (1 − escaped) · E_{j−1}; no differences, so no cancellation.
  let waited = 0;
  let escaped = 1;
  for (let lost = Math.min(domains, fatal.length) - 1; lost >= 0; lost--) {
    const up = (domains - lost) * lossRate;
    const down = lost * repairRate;
    const dies = shareThatDies(fatal, lost);
    const leaves = up * (dies + (1 - dies) * escaped);
    waited = (1 + up * (1 - dies) * waited) / (leaves + down);
    escaped = leaves / (leaves + down);
  }
  const annualObjectLoss =
    repair === undefined ? firstYearLoss(domains, fatal, model.annualLoss) : -Math.expm1(-1 / waited);
  return { mttdlYears: waited, annualObjectLoss, nines: -Math.log10(annualObjectLoss) };
}

/** Domains that are lost stay lost; each is, within a year, with the same probability. */
function firstYearLoss(domains: number, fatal: readonly number[], annualLoss: number): number {
  let sum = 0;
  let sets = 1;
  for (let lost = 0; lost <= domains; lost++) {
    sum += (fatal[lost] ?? 1) * sets * annualLoss ** lost * (1 - annualLoss) ** (domains - lost);
    sets = (sets * (domains - lost)) / (lost + 1);
  }
  return Math.min(1, sum);
}

/** Of the sets of `lost` that decode, the share that one more loss makes fatal. */
function shareThatDies(fatal: readonly number[], lost: number): number {
  const alive = 1 - fatal[lost]!;
  const next = fatal[lost + 1] ?? 1;
  return alive <= 0 ? 1 : Math.min(1, (next - fatal[lost]!) / alive);
}

function checkModel({ annualLoss, repair = USUAL_REPAIR }: DurabilityModel): void {
  const { detectionHours, repairHours } = repair;
  const hours = [detectionHours, repairHours];
  if (
    annualLoss > 0 &&
    annualLoss < 1 &&
    hours.every((h) => h >= 0 && h < 1e9) &&
    detectionHours + repairHours > 0
  ) {
    return;
  }
  throw new HoldfastError(
    'ConfigInvalid',
    'the durability model needs an annual loss between 0 and 1 and hours that are not negative',
    { operation: 'plan', context: { annualLoss, detectionHours, repairHours } },
  );
}
