/** The index of shards in a process of its own: `shard-index-run.js fill|plan FOLDER SEGMENTS`. Prints JSON. */
import { randomFillSync } from 'node:crypto';
import { createLinearCode } from '../src/coding/erasure/code.ts';
import { DEFAULT_LRC } from '../src/coding/erasure/params.ts';
import { addressOf, type BlobAddress } from '../src/core/address.ts';
import { systemClock } from '../src/core/clock.ts';
import { writeInBatches } from '../src/engine/batches.ts';
import { createLevelEngine, type Engine } from '../src/engine/index.ts';
import { encodeClass, type PlacementClass, placementClass } from '../src/manifest/shard-rows.ts';
import { certify } from '../src/placement/certificate.ts';
import { NOT_PLACED } from '../src/placement/domains.ts';
import { rotate, solvePlacement } from '../src/placement/solve.ts';
import { placementClasses, rowsOf, segmentsIn } from '../src/records/shard-index.ts';

export interface Planned {
  /** From the database being closed to the first segment that is to be repaired. */
  readonly ms: number;
  readonly classes: number;
  readonly affected: number;
  /** Entries that planning wrote. */
  readonly written: number;
  readonly peakMib: number;
  /** All segments of affected classes being gone through. */
  readonly allMs: number;
  readonly segments: number;
}

const PROVIDERS = Array.from({ length: 9 }, (_, i) => ({
  id: `provider-${i + 1}`,
  domain: { provider: `provider-${i + 1}`, account: 'one', region: 'one' },
}));
const LOST = 'provider-5';
const CODE = createLinearCode(DEFAULT_LRC);
const REPLICA = createLinearCode({ algorithm: 'replica', copies: 4 });

const open = (location: string): Engine =>
  createLevelEngine({ location, clock: systemClock, lockWaitMs: 10_000, idleReleaseMs: 60_000 });

/** Of objects of one to eight chunks, of more, and of replicas, beginning at every provider. */
function classes(): PlacementClass[] {
  const found = new Map<string, PlacementClass>();
  for (const code of [CODE, REPLICA]) {
    const placement = solvePlacement({ code, providers: PROVIDERS, failureDomain: 'provider' });
    for (let chunks = 1; chunks <= (code === CODE ? 9 : 1); chunks++) {
      for (let turn = 0; turn < PROVIDERS.length; turn++) {
        const maps = Array.from({ length: chunks }, (_, chunk) =>
          Array.from(rotate(placement, turn + chunk), (place) => PROVIDERS[place]!.id),
        );
        const one = placementClass({ code: code.params, level: 'provider', maps });
        found.set(one.id, one);
      }
    }
  }
  return [...found.values()];
}

const DIGEST = Buffer.from([0x58, 0x20]);

/** Rows of one class, every digest in them random: encoding each of a million takes minutes. */
function rowMaker(alike: PlacementClass): () => { readonly segment: BlobAddress; readonly row: Uint8Array } {
  const ids = [...new Set(alike.maps.flat())];
  const none = addressOf(new Uint8Array(32));
  const packs = ids.map((provider) => ({ provider, address: none, length: 8_388_608 }));
  const shards = { alike, chunks: alike.maps.length, bytes: 64 * 1024 ** 2, packs };
  const made = Buffer.from(rowsOf(shards, { segment: none, manifest: none })[1].value!);
  const digests: number[] = [];
  for (let at = made.indexOf(DIGEST); at >= 0; at = made.indexOf(DIGEST, at + 34)) digests.push(at + 2);
  return () => {
    const row = Uint8Array.from(made);
    for (const at of digests) randomFillSync(row, at, 32);
    // That of the root, in which the segment stands, is the last field.
    return { segment: addressOf(row.slice(-32)), row };
  };
}

/** In the order of the keys: a database that was filled long ago is as compact. */
async function fill(engine: Engine, segments: number): Promise<void> {
  const latest = addressOf(new Uint8Array(32));
  const all = classes().sort((a, b) => (a.id < b.id ? -1 : 1));
  const known: BlobAddress[] = [];
  for (const [i, alike] of all.entries()) {
    const value = encodeClass(alike, latest);
    await engine.batch([{ table: 'shard_classes', key: alike.id, value }]);
    const make = rowMaker(alike);
    const its = Math.ceil((segments - i) / all.length);
    const rows = Array.from({ length: its }, make).sort((a, b) => (a.segment < b.segment ? -1 : 1));
    for (const { segment } of rows) known.push(segment);
    await writeInBatches(
      engine,
      rows.map(({ segment, row }) => ({ table: 'shard_index', key: `${alike.id}/${segment}`, value: row })),
    );
  }
  const value = new TextEncoder().encode('1700000000000');
  await writeInBatches(
    engine,
    known.sort().map((key) => ({ table: 'manifest_times', key, value })),
  );
}

/** How many more losses a class survives without the lost provider; undefined where that had no part in it. */
function leftOf({ code: params, maps }: PlacementClass): number | undefined {
  if (!maps.some((map) => map.includes(LOST))) return undefined;
  const places = new Map(PROVIDERS.map(({ id }, place) => [id, id === LOST ? NOT_PLACED : place]));
  const code = createLinearCode(params);
  const placements = maps.map((map) => map.map((id) => places.get(id)!));
  return certify({ code, providers: PROVIDERS, failureDomain: 'provider', placements }).tolerates;
}

async function plan(location: string): Promise<Planned> {
  const begun = performance.now();
  let written = 0;
  const inner = open(location);
  const engine: Engine = {
    ...{ name: inner.name, table: (name) => inner.table(name), revision: () => inner.revision() },
    batch: (ops, ...rest) => {
      written += ops.length;
      return inner.batch(ops, ...rest);
    },
    close: () => inner.close(),
  };
  const context = { engine };
  const affected: { readonly id: string; readonly left: number }[] = [];
  let count = 0;
  for await (const one of placementClasses(context)) {
    count++;
    const left = leftOf(one);
    if (left !== undefined) affected.push({ id: one.id, left });
  }
  affected.sort((a, b) => a.left - b.left);
  for await (const _ of segmentsIn(context, affected[0]!.id, { limit: 1 })) break;
  const ms = performance.now() - begun;
  const peakMib = process.resourceUsage().maxRSS / 1024;
  let segments = 0;
  for (const { id } of affected) for await (const _ of segmentsIn(context, id)) segments++;
  const allMs = performance.now() - begun;
  await engine.close();
  return { ms, classes: count, affected: affected.length, written, peakMib, allMs, segments };
}

const [what, location, segments] = process.argv.slice(2);
if (what === 'fill') {
  const engine = open(location!);
  await fill(engine, Number(segments));
  await engine.close();
  process.stdout.write('{}');
} else process.stdout.write(JSON.stringify(await plan(location!)));
