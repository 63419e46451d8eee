import { createLinearCode } from '../../coding/erasure/code.ts';
import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { entryOf } from '../../core/maps.ts';
import type { Engine } from '../../engine/engine.ts';
import { decodeRoot } from '../../manifest/root.ts';
import type { PlacementClass } from '../../manifest/shard-rows.ts';
import type { PlacementProvider } from '../../placement/domains.ts';
import { solvePlacement } from '../../placement/solve.ts';
import type { RecordsContext } from '../../records/context.ts';
import { localRoot } from '../../records/manifests.ts';
import { placementClasses, segmentsIn } from '../../records/shard-index.ts';
import type { MovingContext } from '../context.ts';
import { type DueSegment, toleratesWithout } from './due.ts';
import { improve } from './improve.ts';
import { candidates } from './repair-segment.ts';

/** What is known of a class as long as the same providers take shards. */
interface Reach {
  /** Losses that its segments survive now, and that they could. */
  readonly before: number;
  readonly after: number;
  /** Until when, by the monotonic clock, none of its segments is looked at: none was promised more. */
  enoughUntilMs: number;
}

const MAX_CLASSES = 50_000;
/** Segments that were promised more may come to a class meanwhile. */
const ENOUGH_MS = 600_000;
const KNOWN = new WeakMap<Engine, { state: string; readonly reach: Map<string, Reach> }>();

/**
 * Segments that survive fewer losses than was certified when they were put, and could survive more with the providers that take
 * shards now; those that survive least first. One look at each class, as long as the providers stay the same.
 */
export async function* shortSegments(
  context: MovingContext,
  lost: ReadonlySet<string>,
  options: AbortOptions,
): AsyncGenerator<DueSegment> {
  const providers = candidates(context, { lost });
  const known = entryOf(KNOWN, context.engine, () => ({ state: '', reach: new Map<string, Reach>() }));
  const state = JSON.stringify(
    providers.map(({ id, domain, eligible }) => [id, domain, eligible, lost.has(id)]),
  );
  if (known.state !== state || known.reach.size >= MAX_CLASSES) known.reach.clear();
  known.state = state;
  const could: { readonly id: string; readonly reach: Reach }[] = [];
  for await (const one of placementClasses(context, options)) {
    throwIfAborted(options.signal, 'repair');
    // Repair puts those elsewhere first.
    if (one.maps.some((map) => map.some((id) => lost.has(id)))) continue;
    const reach = known.reach.get(one.id) ?? (await reachOf(context, one, providers, lost, options));
    known.reach.set(one.id, reach);
    if (reach.after > reach.before && reach.enoughUntilMs <= context.clock.monotonic())
      could.push({ id: one.id, reach });
  }
  for (const { id, reach } of could.sort((a, b) => a.reach.before - b.reach.before)) {
    let isShort = false;
    for await (const { segment, manifest, chunks } of segmentsIn(context, id, options)) {
      if ((await promised(context, manifest, options)) <= reach.before) continue;
      isShort = true;
      yield { manifest, segment, isSegment: true, isShort, chunks, notes: [] };
    }
    if (!isShort) reach.enoughUntilMs = context.clock.monotonic() + ENOUGH_MS;
  }
}

async function reachOf(
  context: MovingContext,
  { code: params, level: failureDomain, maps }: PlacementClass,
  providers: readonly PlacementProvider[],
  lost: ReadonlySet<string>,
  { signal }: AbortOptions,
): Promise<Reach> {
  const code = createLinearCode(params);
  const before = toleratesWithout({ code: params, level: failureDomain, maps }, providers, lost);
  const used = new Set(maps.flat());
  const there = providers.filter(({ id, eligible }) => eligible === true || used.has(id));
  const all = there.map(({ id, domain }) => ({ id, domain }));
  if (all.length === 0) return { before, after: before, enoughUntilMs: 0 };
  const most = solvePlacement({ code, providers: all, failureDomain }).certificate.tolerates;
  if (most <= before) return { before, after: before, enoughUntilMs: 0 };
  const request = { code, failureDomain, maps, providers, goal: most };
  const { after } = await improve(request, () => context.clock.sleep(0, signal));
  return { before, after, enoughUntilMs: 0 };
}

/** Objects of which is remembered what was certified: it never changes. */
const MAX_PROMISES = 50_000;
const PROMISES = new WeakMap<Engine, Map<BlobAddress, number>>();

/** What was certified of an object when it was put; −1 where its root is not at hand. */
export async function promised(
  context: RecordsContext,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<number> {
  const known = entryOf(PROMISES, context.engine, () => new Map<BlobAddress, number>());
  const before = known.get(manifest);
  if (before !== undefined) return before;
  const root = await localRoot(context, manifest, options);
  if (root === undefined) return -1;
  const { tolerates } = decodeRoot(root).certificate;
  if (known.size >= MAX_PROMISES) known.clear();
  known.set(manifest, tolerates);
  return tolerates;
}
