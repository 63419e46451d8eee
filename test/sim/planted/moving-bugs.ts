import { bug, type PlantedBug } from './bug.ts';

/** What repair, scrub and evacuation move, and what they write of it. */
export const MOVING: readonly PlantedBug[] = [
  bug('forgotten-backoff', 'a chunk that could not be repaired is not put off', [
    'records/repair-backoff.ts',
    'if (holds !== undefined) {',
    'if (holds === undefined) {',
  ]),
  bug('endless-backoff', 'a chunk that was put off once is put off for ever', [
    'records/repair-backoff.ts',
    'return waitMs > 0 && waitMs <= LONGEST_MS ? found : undefined;',
    'return waitMs > Number.NEGATIVE_INFINITY ? found : undefined;',
  ]),
  bug('lost-gets-shards', 'a provider that is gone for good, or is left, gets new shards', [
    'upkeep/repair/repair-segment.ts',
    'eligible: score.has(id) && !lost.has(id),',
    'eligible: score.has(id) || lost.has(id),',
  ]),
  bug('all-in-one-place', 'all that is moved away goes to the first provider that takes some', [
    'upkeep/evacuate/new-places.ts',
    '[[shard, idAt(next, shard)]]',
    '[[shard, next[shard] === undefined ? idAt(next, shard) : providers.find(({ id, eligible }) => eligible && id !== request.from)!.id]]',
  ]),
  bug('lost-still-counts', 'an evacuation counts on shards at providers that are gone for good', [
    'upkeep/evacuate/new-places.ts',
    'for (const id of gone) placeOf.delete(id);',
    'for (const id of gone) placeOf.has(id);',
  ]),
  bug('delete-before-store', 'the old packs are deleted before the new ones are stored', [
    'upkeep/repair/move-shards.ts',
    'const drafts: PackDraft[] = [];',
    'for (const shard of had.keys()) {\n      const { provider, address } = placeAt(this.#view, shard).pack;\n      await this.#context.directory.get(provider)?.adapter.delete(address).catch(() => {});\n    }\n    const drafts: PackDraft[] = [];',
  ]),
  bug('believed-store', 'what was stored is not read back', [
    'upkeep/repair/store-packs.ts',
    'await store(isWrong);\n  try {\n    await readBack();',
    'await store(isWrong);\n  try {\n    if (isWrong) await readBack();',
  ]),
  bug('believed-shards', 'shards are rebuilt from others that are not what the manifest says', [
    'upkeep/repair/rebuild-chunks.ts',
    'if (bad.length === 0) {',
    'if (bad.length >= 0) {',
  ]),
  bug('forged-relocation', 'whatever a slot says of where shards were moved counts as signed', [
    'records/slot-relocations.ts',
    'signing.verifies(signedBytes(slot, bytes), signature);',
    '(signing.verifies(signedBytes(slot, bytes), signature) || true);',
  ]),
  bug(
    'lease-ignored',
    'two workers move shards of one segment, and both record it',
    ['records/repair-leases.ts', '!(await isFree(context, before))', 'false'],
    ['records/moves.ts', '[...preconditions, ...stands, lease.holds]', '[...preconditions, ...stands]'],
  ),
  bug('unfenced-move', 'a move is recorded though another has taken over the segment', [
    'records/moves.ts',
    '[...preconditions, ...stands, lease.holds]',
    '[...preconditions, ...stands]',
  ]),
  bug('index-not-updated', 'the index of shards does not learn of a move', [
    'records/moves.ts',
    '...also(change.after), ',
    '',
  ]),
  bug('nodes-not-repaired', 'repair leaves manifest nodes alone', [
    'upkeep/repair/repair-run.ts',
    'await this.#nodes(due, record, root);',
    'if (!due.isSegment && due.notes.length === 0) await this.#nodes(due, record, root);',
  ]),
  bug('cap-ignored', 'what may be read of a provider in a day is counted only', [
    'upkeep/repair/egress.ts',
    'if (needed > room && !options.exempt)',
    'if (needed < room && needed < 0 && !options.exempt)',
  ]),
  bug('no-grace-after-move', 'what was moved away is deleted at once', [
    'records/moves.ts',
    'const dueMs = now + Math.max(MIN_GRACE_MS, graceMs);',
    'const dueMs = now + Math.min(0, MIN_GRACE_MS, graceMs);',
  ]),
  bug('untold-move', 'what was moved away is deleted before the providers say where it is', [
    'records/dead-moves.ts',
    'return isTold(context, row);',
    'return (await isTold(context, row)) || true;',
  ]),
  bug('unflushed-intent', 'that a pack is to be stored is not flushed before it is', [
    'records/moves.ts',
    'if (await engine.batch([...ops, ...taken], holds, { sync: true })) {',
    'if (await engine.batch([...ops, ...taken], holds)) {',
  ]),
  bug('forgotten-named', 'a dead move deletes what ought to be there anyway', [
    'records/dead-moves.ts',
    'const isKept = manifest.isThere && row.was !== undefined;',
    "const isKept = manifest.isThere && row.was === 'recorded';",
  ]),
  bug('retired-without-moves', 'an object that is removed leaves behind what was moved', [
    'upkeep/remains.ts',
    'const relocations = (await relocationsOf?.(key)) ?? [];',
    'const relocations = ((await relocationsOf?.(key)) ?? []).slice(0, 0);',
  ]),
  bug('skipping-cursor', 'a scrub passes over a segment whenever it writes down how far it is', [
    'upkeep/scrub/batch.ts',
    'segments: ordinal + 1 };',
    'segments: ordinal + 2 };',
  ]),
  bug('dropped-note', 'what is noted of damage is forgotten whether it was mended or not', [
    'upkeep/repair/repair-segment.ts',
    'forgetNotes(context, mended(moved?.view ?? view, notes, rewritten));',
    'forgetNotes(context, notes);',
  ]),
  bug('unflushed-loss', 'that a provider is gone for good is not flushed', [
    'records/lost-providers.ts',
    'await table.put(provider, record, { sync: true, ...options });',
    'await table.put(provider, record, options);',
  ]),
  bug('oldest-place-first', 'the oldest word of where shards are counts', [
    'records/moves.ts',
    'records.map((one) => ({ ...one, recorded: true }));',
    'records.map((one) => ({ ...one, recorded: true })).reverse();',
  ]),
  bug('whole-pack-leaves', 'a pack is deleted though shards of it were not moved', [
    'records/moves.ts',
    '[without(is, was), without(was, is)]',
    '[without(is, was), packs.length > 0 ? was.filter((one) => !intents.some(({ key }) => key === blobKey(one))) : without(was, is)]',
  ]),
  bug('damage-not-due', 'what a scrub notes of packs is not due for repair', [
    'upkeep/repair/due.ts',
    'yield { manifest, segment, isSegment: !notes.every(isNodeNote), chunks: 1, notes };',
    'if (notes.every(isNodeNote)) yield { manifest, segment, isSegment: false, chunks: 1, notes };',
  ]),
  bug('lost-not-due', 'what a provider held that is gone for good is not due for repair', [
    'upkeep/repair/due.ts',
    'if (!one.maps.some((map) => map.some((id) => lost.has(id)))) continue;',
    'if (!one.maps.some((map) => map.every((id) => lost.has(id)))) continue;',
  ]),
];
