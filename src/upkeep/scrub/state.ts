import type { AbortOptions } from '../../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../../core/address.ts';
import { utf8Decode, utf8Encode } from '../../core/bytes.ts';
import { isCount } from '../../core/counts.ts';
import { isHoldfastError } from '../../core/errors.ts';
import type { Engine } from '../../engine/engine.ts';
import { UPKEEP_TABLE } from '../../records/usage.ts';

/** A part of all blobs, by their addresses: of `of` parts the `part`-th, from 1. All together are everything, once. */
export interface Subset {
  readonly part: number;
  readonly of: number;
}

export const MAX_PARTS = 10_000;

export const isIn = ({ part, of }: Subset, address: BlobAddress): boolean =>
  Number.parseInt(address.slice(3, 15), 16) % of === part - 1;

/** What a scrub found at one provider. */
export interface ScrubCounts {
  packs: number;
  bytes: number;
  missing: number;
  /** Packs with other bytes than they should have, and shards in them that are not what was put. */
  corrupt: number;
  rotten: number;
  /** Packs and copies of nodes of which the provider gave no answer. */
  unheard: number;
}

/** How far a scrub is, and what it has found so far. */
export interface ScrubState {
  readonly startedMs: number;
  /** Undefined while it is not done. */
  finishedMs: number | undefined;
  /** What comes behind this is to be done. Undefined: all of it. */
  at: ScrubPosition | undefined;
  manifests: number;
  segments: number;
  readonly nodes: { checked: number; missing: number; corrupt: number };
  readonly providers: Map<string, ScrubCounts>;
  /** Manifests of which a part could not be read, the first of them, and how many there are. */
  readonly unread: { count: number; readonly first: BlobAddress[] };
  /** Findings for which there was no room. */
  unnoted: number;
}

interface ScrubPosition {
  readonly storedMs: number;
  readonly manifest: BlobAddress;
  /** Segments of it that are done. */
  readonly segments: number;
}

export const newScrub = (startedMs: number): ScrubState => ({
  startedMs,
  finishedMs: undefined,
  at: undefined,
  manifests: 0,
  segments: 0,
  nodes: { checked: 0, missing: 0, corrupt: 0 },
  providers: new Map(),
  unread: { count: 0, first: [] },
  unnoted: 0,
});

export const noCounts = (): ScrubCounts => ({
  packs: 0,
  bytes: 0,
  missing: 0,
  corrupt: 0,
  rotten: 0,
  unheard: 0,
});

/** `scrub/<part>/<of>` of the table of chores → JSON, see docs/format/records.md. */
const keyOf = ({ part, of }: Subset): string => `scrub/${part}/${of}`;

/** Undefined where there is none, or none that can be read: it begins anew. */
export async function readScrub(
  engine: Engine,
  subset: Subset,
  options: AbortOptions,
): Promise<ScrubState | undefined> {
  const stored = await engine
    .table(UPKEEP_TABLE)
    .get(keyOf(subset), { signal: options.signal })
    .catch((error: unknown) => {
      if (isHoldfastError(error, 'Corrupt')) return undefined;
      throw error;
    });
  return stored && stateIn(stored);
}

/** Every part of which a scrub was begun, of divisions into however many. */
export async function* scrubStates(
  engine: Engine,
  options: AbortOptions,
): AsyncGenerator<{ readonly subset: Subset; readonly state: ScrubState }> {
  const range = { signal: options.signal, prefix: 'scrub/', onDamaged: () => {} };
  for await (const [key, value] of engine.table(UPKEEP_TABLE).entries(range)) {
    const [, part, of] = (/^scrub\/(\d{1,5})\/(\d{1,5})$/.exec(key) ?? []).map(Number);
    const state = stateIn(value);
    if (part !== undefined && of !== undefined && state !== undefined) yield { subset: { part, of }, state };
  }
}

const DAY_MS = 86_400_000;

/**
 * The part that is to be read next where everything is read in turn, a part a day: one that was cut off, else the one that was
 * read the longest ago. Undefined: another was read within a day. A time that is ahead was written under another clock, and
 * keeps nothing waiting.
 */
export async function nextPart(
  engine: Engine,
  of: number,
  nowMs: number,
  options: AbortOptions,
): Promise<Subset | undefined> {
  const finished = new Map<number, number>();
  let latestMs = Number.NEGATIVE_INFINITY;
  for await (const { subset, state } of scrubStates(engine, options)) {
    if (subset.of !== of) continue;
    const { finishedMs } = state;
    if (finishedMs === undefined) return subset;
    finished.set(subset.part, finishedMs);
    if (finishedMs <= nowMs) latestMs = Math.max(latestMs, finishedMs);
  }
  if (nowMs - latestMs < DAY_MS) return undefined;
  const at = (part: number): number => finished.get(part) ?? Number.NEGATIVE_INFINITY;
  const parts = Array.from({ length: of }, (_, i) => i + 1);
  return { part: parts.reduce((oldest, part) => (at(part) < at(oldest) ? part : oldest)), of };
}

/** Not flushed: what a crash loses is done again. */
export async function writeScrub(
  engine: Engine,
  subset: Subset,
  state: ScrubState,
  options: AbortOptions,
): Promise<void> {
  const { startedMs, finishedMs, at, manifests, segments, nodes, providers, unread, unnoted } = state;
  const record = {
    v: 1,
    started: startedMs,
    finished: finishedMs,
    at: at && { stored: at.storedMs, manifest: at.manifest, segments: at.segments },
    manifests,
    segments,
    nodes,
    providers: Object.fromEntries(providers),
    unread,
    unnoted,
  };
  const value = utf8Encode(JSON.stringify(record));
  await engine.table(UPKEEP_TABLE).put(keyOf(subset), value, { signal: options.signal });
}

function stateIn(stored: Uint8Array): ScrubState | undefined {
  try {
    const record = JSON.parse(utf8Decode(stored));
    const { v, started, finished, at, manifests, segments, nodes, providers, unread, unnoted } = record;
    const counts: readonly unknown[] = [
      ...[started, manifests, segments, unnoted, nodes.checked, nodes.missing, nodes.corrupt, unread.count],
      ...(finished === undefined ? [] : [finished]),
      ...(at === undefined ? [] : [at.stored, at.segments]),
      ...Object.values<object>(providers).flatMap((its) => Object.values(its)),
    ];
    const addresses: readonly string[] = [...unread.first, ...(at === undefined ? [] : [at.manifest])];
    if (v !== 1 || !counts.every(isCount) || !addresses.every(isBlobAddress)) return undefined;
    return {
      startedMs: started,
      finishedMs: finished,
      at: at && { storedMs: at.stored, manifest: at.manifest, segments: at.segments },
      manifests,
      segments,
      nodes,
      providers: new Map(
        Object.entries<Partial<ScrubCounts>>(providers).map(([id, its]) => [id, { ...noCounts(), ...its }]),
      ),
      unread,
      unnoted,
    };
  } catch {
    return undefined;
  }
}
