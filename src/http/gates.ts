/** One condition on the way to serving. */
export interface Gate {
  readonly gate: GateName;
  /** Gates that stand before it: it is shut while one of them is. */
  readonly needs: readonly GateName[];
  /** Why it is shut by itself, in stable words. */
  readonly reasons: readonly string[];
}

/** Every gate that a service may have; the values of the metric's label. */
type GateName =
  | 'engine'
  | 'backends'
  | 'room'
  | 'placement_cache'
  | 'repair_pacer'
  | 'loops'
  | 'reads'
  | 'writes';

/** What a service could do now, and what keeps it from the rest: the answer of `/readyz`. */
export interface ReadinessReport {
  readonly reads: boolean;
  readonly writes: boolean;
  /** Why not, in stable words: those of the gates that are shut by themselves. */
  readonly reasons: readonly string[];
  /** The gates that are shut by themselves. Whoever opens them opens all. */
  readonly shut: readonly GateName[];
  readonly gates: readonly (Gate & { readonly open: boolean })[];
}

/**
 * Writes need what reads need and more, so that they fail first.
 * @param gates each after those that it needs; `reads` and `writes` among them.
 */
export function readinessOf(gates: readonly Gate[]): ReadinessReport {
  const open = new Set<GateName>();
  for (const { gate, needs, reasons } of gates) {
    if (reasons.length === 0 && needs.every((need) => open.has(need))) open.add(gate);
  }
  return {
    reads: open.has('reads'),
    writes: open.has('writes'),
    reasons: gates.flatMap(({ reasons }) => reasons),
    shut: gates.filter(({ reasons }) => reasons.length > 0).map(({ gate }) => gate),
    gates: gates.map((gate) => ({ ...gate, open: open.has(gate.gate) })),
  };
}

/** What a service over a vault can do with the state and with the providers that answer. */
export interface Outlook {
  /** The state can be read. */
  readonly stateful: boolean;
  /** At least one provider answers. */
  readonly answering: boolean;
  /** The providers that answer could decode an object that lies over all providers, in the code in force. */
  readonly decodable: boolean;
  /** A put would find enough providers to survive what it must. */
  readonly storable: boolean;
  /** What repair moves can be counted, so that what a put stores can be repaired within the limits. */
  readonly paced: boolean;
}

/** The gates of a service over a vault, from the state to the writes. */
export function vaultGates(
  outlook: Outlook,
  { draining, loopFailing = false }: { readonly draining: boolean; readonly loopFailing?: boolean },
): readonly Gate[] {
  const { stateful, answering, decodable, storable, paced } = outlook;
  const undecodable = answering ? when(!decodable, 'undecodable') : ['providers_unreachable'];
  return [
    { gate: 'engine', needs: [], reasons: when(!stateful, 'engine_unreachable') },
    { gate: 'placement_cache', needs: ['engine'], reasons: undecodable },
    {
      gate: 'repair_pacer',
      needs: ['placement_cache'],
      reasons: when(stateful && !paced, 'repair_unpaced'),
    },
    { gate: 'loops', needs: ['repair_pacer'], reasons: when(loopFailing, 'loop_failing') },
    { gate: 'reads', needs: ['placement_cache'], reasons: when(draining, 'draining') },
    {
      gate: 'writes',
      needs: ['loops', 'reads'],
      reasons: when(answering && !storable, 'too_few_providers'),
    },
  ];
}

export const when = (shut: boolean, reason: string): readonly string[] => (shut ? [reason] : []);
