export {
  type Certificate,
  Certifier,
  type CertifyOptions,
  certify,
  describeCertificate,
  type ShardPlaces,
  shortfall,
} from './certificate.ts';
export {
  type DomainLabels,
  type DomainLevel,
  domainOf,
  MAX_PROVIDERS,
  NOT_PLACED,
  type PlacementProvider,
} from './domains.ts';
export {
  DEFAULT_MODEL,
  type Durability,
  type DurabilityModel,
  durability,
  USUAL_REPAIR,
} from './plan/durability.ts';
export type { LossCounts } from './plan/fractions.ts';
export {
  MAX_PLANNED,
  type PlanRequest,
  type PlanRow,
  type PlanTable,
  planTable,
  type Reads,
} from './plan/plan.ts';
export { renderPlan } from './plan/render.ts';
export { type ReassignRequest, reassign } from './reassign.ts';
export { type Placement, type PlacementRequest, rotate, solvePlacement } from './solve.ts';
