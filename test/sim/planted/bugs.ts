import { bug, type PlantedBug } from './bug.ts';
import { MOVING } from './moving-bugs.ts';

/** What is written and when: the engine's side. */
const WRITES: readonly PlantedBug[] = [
  bug('unflushed-commit', 'the batch that makes a name visible is not flushed', [
    'records/name-index.ts',
    '...index.preconditions], {\n        sync: true,',
    '...index.preconditions], {\n        sync: false,',
  ]),
  bug('lost-update', 'a name is set whatever it stands for meanwhile', [
    'records/names.ts',
    'await setPointer(context, change, current, options)',
    "await setPointer(context, change, 'any', options)",
  ]),
  bug('uncommitted-journal', 'the journal of a put is not committed in the batch that makes it visible', [
    'pipeline/put/put-run.ts',
    'return [...kept, ...noted, journal.committed(address, replaced?.manifest)];',
    'return [...kept, ...noted];',
  ]),
  bug('forgotten-intent', 'only the first record of intents is written', [
    'records/journal.ts',
    'await this.#write([record], this.#written);',
    '',
  ]),
  bug('unwritten-retired', 'what a put replaces is not noted in `retired`', [
    'pipeline/put/put-run.ts',
    'retired === undefined ? [] : [retiring(retired)]',
    'retired === undefined ? [] : [retiring(retired)].slice(1)',
  ]),
  bug('uncounted-change', 'the counter of the state does not rise with a change of a name', [
    'records/name-index.ts',
    '...also, raised.op];',
    '...also];',
  ]),
  bug('kept-incarnation', 'a state that is not confirmed goes on with its incarnation', [
    'records/generation-record.ts',
    'return incarnation === this.#own?.incarnation && this.#own.history === history;',
    'return incarnation !== undefined;',
  ]),
  bug('slots-before-batch', 'the copies of a name are written before the batch that makes it visible', [
    'pipeline/put/put-run.ts',
    'const also = async ({ replaced }: NameChange): Promise<BatchOp[]> => {',
    'const also = async (change: NameChange): Promise<BatchOp[]> => {\n      const { replaced } = change;\n      await this.#backUp(change, root.certificate);',
  ]),
];

/** What is sent, and what counts as there. */
const SENDING: readonly PlantedBug[] = [
  bug('unchecked-pack', 'a pack counts as stored though its provider failed', [
    'pipeline/put/pack-store.ts',
    'report(error);\n    return undefined;',
    'report(error);',
  ]),
  bug('unchecked-copy', 'a copy of a name counts though its provider failed', [
    'records/name-backup.ts',
    ".catch((): Outcome => 'silent')",
    ".catch((): Outcome => 'held')",
  ]),
  bug('tie-is-backed-up', 'a slot with an equal or higher version counts as a copy, whatever it holds', [
    'records/name-backup.ts',
    "if (held.pointer.version >= pointer.version) return 'rival';",
    "if (held.pointer.version >= pointer.version) return 'holds';",
  ]),
  bug('one-copy-of-a-name', 'a name gets one copy, whatever its object survives', [
    'pipeline/put/put-run.ts',
    'const needed = tolerates + 1;\n    const wanted = Math.max(needed, nodeCopies(this.#setup.plan).wanted);',
    'const needed = Math.min(1, tolerates + 1);\n    const wanted = needed;',
  ]),
  bug('domains-ignored', 'copies of a name are dealt out without regard to failure domains', [
    'object/rendezvous.ts',
    'const unused = this.#queue.findIndex((provider) => !used.has(this.#domainOf(provider)));',
    'const unused = this.#queue.length - 1;',
  ]),
  bug('slot-not-due', 'a slot that did not take a change is not noted as due', [
    'records/name-backup.ts',
    'await queueSlots(this.#context, due, nameKey, current.pointer.version);',
    'void due;',
  ]),
  bug('first-chunk-certificate', 'the certificate is that of the first way in which chunks were placed', [
    'pipeline/put/root.ts',
    'placements: recorded });',
    'placements: recorded.slice(0, 1) });',
  ]),
  bug(
    'reused-salt',
    'chunks have one salt, and their keys do not depend on their place',
    [
      'pipeline/put/segment-builder.ts',
      'const salt = context.random(16);',
      'const salt = new Uint8Array(16);',
    ],
    [
      'keys/derivation.ts',
      'concatBytes(providerKey(id), salt, u64(index))',
      'concatBytes(providerKey(id), salt, u64(0 * index))',
    ],
  ),
  bug('reused-nonce', 'records are sealed with one nonce', [
    'keys/seal.ts',
    'const nonce = random(NONCE_BYTES);',
    'const nonce = random(NONCE_BYTES).fill(0);',
  ]),
];

/** What is deleted, and when. */
const DELETING: readonly PlantedBug[] = [
  bug(
    'delete-before-commit',
    'a removal deletes the blobs before the name is gone',
    [
      'upkeep/delete.ts',
      'noted(replaced?.manifest ?? manifest);',
      '{\n    const ops = noted(replaced?.manifest ?? manifest);\n    if (retired !== undefined) await context.retention.retire(retired, options);\n    return ops;\n  };',
    ],
    [
      'upkeep/retention.ts',
      'if (await isReferredTo(context, version, block, options)) {',
      "if (version.why !== 'removed' && (await isReferredTo(context, version, block, options))) {",
    ],
  ),
  bug('fence-ignored', 'a put becomes visible whatever its journal says', [
    'records/journal.ts',
    'return [this.#stands(this.#written)];',
    'return [];',
  ]),
  bug('not-condemned', 'a sweep deletes without condemning the journal first', [
    'upkeep/sweep.ts',
    'if (await condemn(context, journal)) return',
    'if (context || (await condemn(context, journal))) return',
  ]),
  bug('unknown-is-dead', 'an owner whose lock cannot be tried is taken for dead', [
    'records/leases.ts',
    "return standing === 'unknown' ? hasStoodStill(owner, mark, options) : standing === 'dead';",
    "return standing !== 'alive' || hasStoodStill(owner, mark, options);",
  ]),
  bug('swept-after-restore', 'a journal of before a recovery is swept like any other', [
    'upkeep/sweep.ts',
    'if (await recoveredSince(context.engine, journal.header.recoveries))',
    'if (!context && (await recoveredSince(context.engine, journal.header.recoveries)))',
  ]),
  bug('sweep-by-any-state', 'a state that is not confirmed sweeps', [
    'upkeep/sweep.ts',
    "standing !== undefined && standing.state !== 'confirmed'",
    "standing !== undefined && standing.state !== 'confirmed' && !context",
  ]),
  bug('retire-by-any-state', 'a state that is not confirmed deletes what it retired', [
    'upkeep/retention.ts',
    "if (state !== 'confirmed') {",
    "if (state !== 'confirmed' && !context) {",
  ]),
  bug('behind-is-confirmed', 'a head that the state does not know says nothing', [
    'records/generation.ts',
    "if (incomplete || unknown.length > 0) return { state: 'behind', unknown };",
    '',
  ]),
  bug('minority-confirms', 'one provider that answers is a majority', [
    'records/generation.ts',
    'Math.floor(able.length / 2) + 1;',
    '1;',
  ]),
  bug('unreadable-is-absent', 'a node that cannot be read is taken for one that nobody has', [
    'upkeep/remains.ts',
    "if (isHoldfastError(cause, 'NotFound') && context.directory.all().length > 0) return undefined;",
    'if (context.directory.all().length > 0) return undefined;',
  ]),
  bug('no-grace', 'what a put replaced is due at once', [
    'records/forks.ts',
    'dueMs: sinceMs + retention.replacedMs,',
    'dueMs: sinceMs,',
  ]),
  bug('retire-during-change', 'a version goes before the change that retired it is told to the providers', [
    'upkeep/retention.ts',
    'else if (await mayGo(context, version)) due.push(version);',
    'else if (context || (await mayGo(context, version))) due.push(version);',
  ]),
  bug('other-name-ignored', 'a version goes though the name that a fork gave it stands for it', [
    'records/forks.ts',
    'return current?.manifest === manifest || hasOtherName(context, name, manifest);',
    'return current?.manifest === manifest;',
  ]),
  bug('orphans-left', 'a put that fails deletes only what was acknowledged', [
    'pipeline/put/put-run.ts',
    'await this.#close([...this.#outbox.stored, ...this.#outbox.orphans], CLOSE_MS);',
    'await this.#close(this.#outbox.stored, CLOSE_MS);',
  ]),
  bug('trash-forgets', 'a blob that could not be deleted is forgotten when that is tried again', [
    'records/deletes.ts',
    "if (outcome === 'unsent' && doubtMs === undefined) return { ...rest, state: 'queued', sinceMs };",
    '',
  ]),
  bug('unknown-delete-is-done', 'a DELETE that nobody answered is taken for done', [
    'records/deletes.ts',
    "if (outcome === 'unknown') return { ...rest, state: 'unsettled', sinceMs: now };",
    "if (outcome === 'unknown') return undefined;",
  ]),
  bug('gc-ignores-journals', 'gc does not look at the intents of puts under way', [
    'upkeep/orphans.ts',
    'const spoken = await intendedAmong(this.#context, keys, { signal });',
    'const spoken = await intendedAmong(this.#context, new Set(), { signal });',
  ]),
  bug('gc-ignores-owners', 'gc deletes whoever uses the place', [
    'upkeep/orphans.ts',
    "if (!isSoleOwner(place, this.#context.keys.id)) return 'shared';",
    'isSoleOwner(place, this.#context.keys.id);',
  ]),
  bug('gc-reads-once', 'gc does not look for manifests that became visible while it listed', [
    'upkeep/orphans.ts',
    'await reach(this.#context, reachable, { signal });',
    'void reach;',
  ]),
  bug('gc-guesses', 'gc deletes though a manifest could not be read to its end', [
    'upkeep/orphans.ts',
    "if (reachable.unread.size > 0) return 'unread';",
    '',
  ]),
  bug(
    'tombstone-early',
    'a removal is forgotten at once, and whoever is away is not asked',
    [
      'records/tombstones.ts',
      'pointer.createdMs < keptMs) continue;',
      'pointer.createdMs < 0 * keptMs) continue;',
    ],
    [
      'records/tombstones.ts',
      'this.#able = withSlots(context.directory.all());',
      'this.#able = withSlots(context.directory.all()).filter(({ id }) => context.directory.isResponsive(id));',
    ],
  ),
];

/** What is believed. */
const BELIEVING: readonly PlantedBug[] = [
  bug('stale-pointer', 'a recovery takes the version of a name that it heard of first', [
    'upkeep/recover/collect.ts',
    'versions.sort((a, b) => comparePointers(this.#context.blake3, b.pointer, a.pointer));',
    'void comparePointers;',
  ]),
  bug('slots-over-engine', 'a recovery puts what the slots say over a newer version of the state', [
    'upkeep/recover/settle.ts',
    'this.#order(best.pointer, known.pointer) <= 0)',
    'this.#order(best.pointer, known.pointer) === 0)',
  ]),
  bug('half-is-heard', 'a recovery hears half of the providers', [
    'upkeep/recover/collect.ts',
    'await Promise.all(able.map((provider) => gathering.hear(provider, laggards, signal)));',
    'const half = able.slice(0, Math.ceil(able.length / 2));\n    await Promise.all(half.map((provider) => gathering.hear(provider, laggards, signal)));',
  ]),
  bug('adopted-unheard', 'a recovery adopts heads though no majority answered', [
    'upkeep/recover/recover.ts',
    'if (heads !== undefined) await generation.adopt(heads);',
    'await generation.adopt(heads ?? []);',
  ]),
  bug('swallowed-fork', 'the content of a fork is given no name', [
    'records/name-backup.ts',
    "if (verdict !== 'fork') return verdict;",
    "if (verdict !== 'fork' || rival.pointer.version > 0) return verdict;",
  ]),
  bug('deleted-rival', 'what a put replaced goes though forks came to light', [
    'pipeline/put/put-run.ts',
    'const goes = backUp?.forks.length === 0;',
    'const goes = true;',
  ]),
  bug('nearest-ancestor-left-out', 'a version does not name the one before as its ancestor', [
    'manifest/pointer.ts',
    'for (const hash of [...hashes, ...parents.flatMap(ancestorList)]) {',
    'for (const hash of [...hashes.slice(1), ...parents.flatMap(ancestorList)]) {',
  ]),
  bug(
    'stale-cache',
    'a read takes what its process read of the name before',
    [
      'records/names.ts',
      'const MAX_RACES = 64;',
      'const MAX_RACES = 64;\nconst stale = new WeakMap<object, Map<string, Uint8Array>>();',
    ],
    [
      'records/names.ts',
      'const sealed = await context.engine.table(NAMES_TABLE).get(key, options);',
      'const known = stale.get(context.engine) ?? new Map<string, Uint8Array>();\n  stale.set(context.engine, known);\n  const sealed = known.get(key) ?? (await context.engine.table(NAMES_TABLE).get(key, options));\n  if (sealed !== undefined) known.set(key, sealed);',
    ],
  ),
  bug('unverified-node', 'whatever a provider gives as a node is believed', [
    'providers/guard.ts',
    'if (computed === address) return bytes;',
    'if (computed === address || address !== undefined) return bytes;',
  ]),
];

export const PLANTED: readonly PlantedBug[] = [...WRITES, ...SENDING, ...DELETING, ...BELIEVING, ...MOVING];
