import { createLinearCode } from '../../coding/erasure/code.ts';
import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import { equalBytes } from '../../core/bytes.ts';
import { withDeadline } from '../../core/clock.ts';
import { asHoldfastError, HoldfastError } from '../../core/errors.ts';
import { decodeRoot } from '../../manifest/root.ts';
import { decodeSegmentNode } from '../../manifest/segment.ts';
import { DamageLog, problemOf } from '../../object/damage.ts';
import { fetchNode } from '../../object/fetch-node.ts';
import {
  locate,
  type Place,
  type SegmentView,
  shardCount,
  shardDigest,
  viewSegment,
} from '../../object/places.ts';
import { relocate } from '../../object/relocations.ts';
import type { Provider } from '../../providers/provider.ts';
import type { RecordsContext } from '../../records/context.ts';
import { type FoundDamage, noteDamage } from '../../records/damage.ts';
import { loadRoot } from '../../records/manifests.ts';
import { stillDamaged } from '../scrub/standing.ts';
import type { Drawn } from './sample.ts';

/** A shard without an answer is asked for again so often. */
const MAX_AGAIN = 3;
/** Nodes that all others lack are waited for so long at those that do not answer. */
const GIVE_UP_MS = 5_000;

/** What a challenge came to. `void`: there is no such shard there, or none any more; another is asked for. */
export type Answer = 'right' | 'missing' | 'corrupt' | 'unanswered' | 'void';

interface Shard {
  readonly view: SegmentView;
  readonly at: number;
  readonly place: Place;
  readonly length: number;
}

export interface ChallengeOptions extends AbortOptions {
  /** For one request. */
  readonly timeoutMs: number;
  /** Told of the bytes that came. */
  readonly onRead: (bytes: number) => void;
}

/**
 * Asks a provider for a whole shard: a part of one could not be checked. What is wrong is noted, and held against the provider as a
 * lie; that it does not answer only as a failure. @throws HoldfastError `Aborted`; what the engine throws.
 */
export async function challenge(
  context: RecordsContext,
  provider: Provider,
  drawn: Drawn,
  options: ChallengeOptions,
): Promise<Answer> {
  const shard = await shardOf(context, provider.id, drawn, options);
  if (shard === undefined) return 'void';
  const wrong = await ask(context, provider, shard, options);
  if (wrong === undefined) return 'right';
  const { error, elapsedMs } = wrong;
  const problem = problemOf(error);
  if (problem === 'unavailable') return 'unanswered';
  const found: FoundDamage = {
    ...{ segment: drawn.segment, manifest: drawn.manifest, provider: provider.id },
    ...{ pack: shard.place.pack.address, problem, foundBy: 'audit' },
    shards: problem === 'missing' ? undefined : [shard.at],
  };
  const findings = await stillDamaged(context, drawn.manifest, [found], () => shard.view, options);
  // What was removed meanwhile says nothing against the provider.
  if (findings.length === 0) return 'void';
  context.directory.report(provider.id, { operation: 'fetch', bytes: shard.length, elapsedMs, error });
  await noteDamage(context, findings, { signal: options.signal });
  return problem;
}

/** Undefined where it cannot be told, or is none: its object may be gone by now, or its node out of reach. */
async function shardOf(
  context: RecordsContext,
  provider: string,
  { segment, manifest, nth }: Drawn,
  { signal }: AbortOptions,
): Promise<Shard | undefined> {
  try {
    const damage = new DamageLog();
    const {
      body,
      objectId,
      code: params,
    } = decodeRoot(await loadRoot(context, manifest, damage, { signal }));
    const code = createLinearCode(params);
    const record =
      'segment' in body
        ? body.segment
        : decodeSegmentNode(
            await fetchNode(context, segment, damage, signal, GIVE_UP_MS),
            objectId,
            code.totalShards,
          );
    const relocationsOf = await context.relocations.open({ signal, fresh: true });
    const recorded = viewSegment(record, code);
    const view = relocationsOf ? relocate(recorded, await relocationsOf(segment)) : recorded;
    let left = nth;
    for (let at = 0; at < shardCount(view); at++) {
      const chunk = Math.floor(at / code.totalShards);
      const place = locate(view, chunk, at % code.totalShards);
      if (place.pack.provider === provider && left-- === 0)
        return { view, at, place, length: view.shardLengths[chunk]! };
    }
    return undefined;
  } catch {
    throwIfAborted(signal, 'the audit');
    return undefined;
  }
}

/** @returns why it is not what it should be, or that nothing answered. */
async function ask(
  context: RecordsContext,
  provider: Provider,
  shard: Shard,
  { signal, timeoutMs, onRead }: ChallengeOptions,
): Promise<{ readonly error: HoldfastError; readonly elapsedMs: number } | undefined> {
  const { clock, directory } = context;
  for (let again = 0; ; again++) {
    const startedMs = clock.monotonic();
    const report = (elapsedMs: number, error?: HoldfastError): void => {
      directory.report(provider.id, { operation: 'fetch', bytes: shard.length, elapsedMs, error });
    };
    try {
      const read = (stop: AbortSignal): Promise<void> => readShard(context, provider, shard, stop);
      await withDeadline(clock, timeoutMs, 'a challenge', read, signal);
      onRead(shard.length);
      report(clock.monotonic() - startedMs);
      return undefined;
    } catch (thrown) {
      throwIfAborted(signal, 'the audit');
      const error = asHoldfastError(thrown);
      const elapsedMs = clock.monotonic() - startedMs;
      if (problemOf(error) !== 'unavailable') return { error, elapsedMs };
      report(elapsedMs, error);
      if (again === MAX_AGAIN) return { error, elapsedMs };
    }
  }
}

async function readShard(
  { blake3 }: RecordsContext,
  { adapter }: Provider,
  { view, at, place, length }: Shard,
  signal: AbortSignal,
): Promise<void> {
  // Its own, for one that was given up may write into it still.
  const into = new Uint8Array(length);
  await adapter.fetchRange(place.pack.address, place.offset, [into], { signal });
  const { totalShards } = view.code;
  const digest = shardDigest(view, Math.floor(at / totalShards), at % totalShards);
  if (!equalBytes(blake3.hash(into), digest))
    throw new HoldfastError('HashMismatch', 'the shard has other bytes than the manifest says');
}
