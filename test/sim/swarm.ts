import { NO_FAULTS, type ProviderFaults } from './provider.ts';
import type { Stream } from './streams.ts';

/** What one run is like: drawn from its seed, so that every mix of faults comes up. */
export interface Swarm {
  readonly providers: number;
  readonly dataShards: number;
  readonly parityShards: number;
  readonly homes: number;
  readonly processesPerHome: number;
  readonly clients: number;
  readonly changes: number;
  readonly names: number;
  readonly faults: ProviderFaults;
  /** How many of each happen in the run. */
  readonly kills: number;
  readonly powerCuts: number;
  readonly restores: number;
  readonly absences: number;
  readonly fullDisks: number;
  readonly clockJumps: number;
  /** One provider loses all that it holds. */
  readonly wiped: boolean;
  /** Of calls: its process is killed while it lasts. */
  readonly struck: number;
  /** Of acknowledged changes: the power fails at once. */
  readonly cutWhenAcknowledged: number;
  /** Of reads and writes of the state. */
  readonly diskErrors: number;
  readonly rottenRecords: number;
  readonly rottenNames: number;
  readonly copies: number;
  /** What else comes over the provider that may lose everything. */
  readonly rotten: boolean;
  readonly restored: boolean;
  readonly fullProviders: number;
  readonly denials: number;
  /** In the end as many providers as the certificates allow are gone, and the state. */
  readonly disaster: boolean;
  /** Nothing goes wrong at all, and many are at work on few names: every call must succeed. */
  readonly calm: boolean;
  /** Another vault, with another key, uses the same places. */
  readonly foreign: boolean;
  /** No lock of an owner can be tried: leases decide. */
  readonly noLocks: boolean;
  readonly pauses: number;
  /** So often a machine finds that its leases have run out, whoever lives. */
  readonly lapses: number;
  readonly losses: number;
  /** Long files are put, and taken up again when that was cut off. */
  readonly files: boolean;
  /** Providers of one account, which is the failure domain. */
  readonly perAccount: number;
  /** Records of what is still to be done that can be read no more. */
  readonly rottenBacklog: number;
}

export function swarmOf(draw: Stream): Swarm {
  const drawn = drawSwarm(draw);
  const { files, noLocks, struck, lapses, pauses, processesPerHome } = drawn;
  return {
    ...drawn,
    // What such runs are for comes up often enough.
    ...(files ? { struck: struck + 0.3 } : {}),
    ...(noLocks
      ? { lapses: lapses + 2, pauses: pauses + 1, processesPerHome: Math.max(2, processesPerHome) }
      : {}),
    ...(drawn.calm ? CALM : {}),
    ...(drawn.calm && !survivesAnAccount(drawn) ? { perAccount: 1 } : {}),
  };
}

/** Whether shards spread over the accounts survive the loss of one. Where they do not, every put of them is refused. */
function survivesAnAccount({ providers, dataShards, parityShards, perAccount }: Swarm): boolean {
  const accounts = Math.ceil(providers / perAccount);
  return Math.ceil((dataShards + parityShards) / accounts) <= parityShards;
}

/** In the place of what was drawn. */
const CALM: Partial<Swarm> = {
  homes: 1,
  clients: 3,
  names: 2,
  faults: NO_FAULTS,
  kills: 0,
  powerCuts: 0,
  restores: 0,
  absences: 0,
  fullDisks: 0,
  clockJumps: 0,
  wiped: false,
  struck: 0,
  cutWhenAcknowledged: 0,
  diskErrors: 0,
  rottenRecords: 0,
  rottenNames: 0,
  rottenBacklog: 0,
  copies: 0,
  rotten: false,
  restored: false,
  fullProviders: 0,
  denials: 0,
  pauses: 0,
  lapses: 0,
  losses: 0,
};

function drawSwarm(draw: Stream): Swarm {
  const rate = (most: number): number => (draw.chance(0.5) ? 0 : most * draw.next() ** 2);
  const some = (probability: number, most: number): number =>
    draw.chance(probability) ? draw.between(1, most) : 0;
  return {
    providers: draw.between(4, 6),
    dataShards: draw.between(1, 2),
    parityShards: draw.between(1, 2),
    homes: draw.chance(0.15) ? 2 : 1,
    processesPerHome: draw.chance(0.3) ? 2 : 1,
    clients: draw.between(1, 3),
    changes: draw.between(8, 24),
    names: draw.between(2, 6),
    faults: {
      refused: rate(0.2),
      lostAnswer: rate(0.15),
      silent: rate(0.05),
      slow: rate(0.05),
      corrupt: rate(0.1),
      partialList: rate(0.3),
      lateEffect: draw.chance(0.4) ? draw.next() : 0,
    },
    kills: some(0.6, 4),
    powerCuts: some(0.4, 2),
    restores: some(0.12, 1),
    absences: some(0.4, 2),
    fullDisks: some(0.2, 1),
    clockJumps: some(0.2, 2),
    wiped: draw.chance(0.2),
    struck: rate(0.1),
    cutWhenAcknowledged: rate(0.15),
    diskErrors: draw.chance(0.25) ? 0.03 * draw.next() ** 2 : 0,
    rottenRecords: some(0.2, 3),
    rottenNames: some(0.08, 2),
    copies: some(0.08, 1),
    rotten: draw.chance(0.12),
    restored: draw.chance(0.12),
    fullProviders: some(0.15, 2),
    denials: some(0.15, 2),
    disaster: draw.chance(0.4),
    calm: draw.chance(0.06),
    foreign: draw.chance(0.08),
    noLocks: draw.chance(0.1),
    pauses: some(0.15, 2),
    lapses: some(0.3, 3),
    losses: some(0.06, 1),
    perAccount: draw.chance(0.25) ? 2 : 1,
    files: draw.chance(0.06),
    rottenBacklog: some(0.1, 3),
  };
}
