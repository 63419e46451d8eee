import { type Stream, streamsOf } from './streams.ts';
import { type Swarm, swarmOf } from './swarm.ts';

/** What comes over one provider, whose loss every certificate allows. */
export type Harm =
  /** All that it holds is gone, nothing is answered, and the operator says so. */
  | 'lost'
  /** The same, and some time later it is back with what it held once. */
  | 'returned'
  | 'lying'
  | 'silent rot';

/** How a run is looked after: by workers that scrub, audit, repair and move, beside its clients. */
export interface Tending {
  readonly workers: number;
  /** No worker has a key. */
  readonly sealed: boolean;
  /** Workers are daemons, with their loops; else they call a verb now and then. */
  readonly daemons: boolean;
  /** Providers are left, replaced and evened out. */
  readonly leaving: boolean;
  readonly harm: Harm | undefined;
  /** What may be read for repair from one provider on one day. */
  readonly egressPerDay: number | undefined;
  /** So many workers are killed. */
  readonly kills: number;
  /** Records of what is looked after that can be read no more. */
  readonly rottenUpkeep: number;
}

const SHARE = 0.5;

/** Undefined: nobody looks after the run. */
export function tendingOf(draw: Stream, { calm }: Swarm): Tending | undefined {
  const isTended = draw.chance(SHARE);
  const workers = draw.between(1, 3);
  const sealed = draw.chance(0.5);
  const daemons = draw.chance(0.3);
  const leaving = draw.chance(0.6);
  const harm = draw.pick<Harm | undefined>([
    'lost',
    'lost',
    'returned',
    'lying',
    'lying',
    'silent rot',
    undefined,
  ]);
  const egressPerDay = draw.chance(0.2) ? draw.between(20_000, 200_000) : undefined;
  const kills = draw.chance(0.5) ? draw.between(1, 3) : 0;
  const rottenUpkeep = draw.chance(0.2) ? draw.between(1, 4) : 0;
  if (!isTended) return undefined;
  // Who is left in maintenance takes no shards, so that a put may fail.
  const tending = { workers, sealed, daemons, leaving, harm, egressPerDay, kills, rottenUpkeep };
  if (!calm) return tending;
  return { ...tending, leaving: false, harm: undefined, kills: 0, rottenUpkeep: 0 };
}

/** Whether a run is looked after in which something comes over a provider. */
export function isHarmed(seed: number): boolean {
  const { upkeep, swarm } = streamsOf(seed);
  return tendingOf(upkeep, swarmOf(swarm))?.harm !== undefined;
}

/** A tended run has one home, whose state is never set back: only its engine knows where shards were moved to. */
export const tended = (swarm: Swarm): Swarm => ({ ...swarm, homes: 1, restores: 0, losses: 0, copies: 0 });
