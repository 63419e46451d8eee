import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { addressOf } from '../../src/core/address.ts';
import { concatBytes, fromHex, u64, utf8Encode } from '../../src/core/bytes.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { deriveObjectKeys, deriveSubkeys, keyedHash, vaultKeysOf } from '../../src/keys/derivation.ts';
import { seal, unseal } from '../../src/keys/seal.ts';
import { readCertificate } from '../../src/manifest/certificate.ts';
import { decodeNode, encodeNode } from '../../src/manifest/dag-cbor.ts';
import { decodeIndexNode, unsealIndexNode } from '../../src/manifest/links.ts';
import { openPointer } from '../../src/manifest/pointer.ts';
import { decodeRelocation } from '../../src/manifest/relocation.ts';
import { decodeRoot, openRoot } from '../../src/manifest/root.ts';
import { decodeSegmentNode, unsealSegment } from '../../src/manifest/segment.ts';
import { viewSegment } from '../../src/object/places.ts';
import { relocate } from '../../src/object/relocations.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { decodeProfile, encodeProfile } from '../../src/profiles/codec.ts';
import { DEFAULT_LADDER } from '../../src/profiles/ladder.ts';
import { newProfile } from '../../src/profiles/profile.ts';
import { readSlotContent } from '../../src/records/slots.ts';
import { sweepJournal } from '../../src/upkeep/sweep.ts';
import { verifyObject } from '../../src/upkeep/verify.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';
import type { buildVectors } from '../manifest/vector-cases.ts';
import { mutateBytes, mutateValue, SeededRandom } from './mutations.ts';

const vectors = JSON.parse(
  readFileSync(new URL('../vectors/manifest-v1.json', import.meta.url), 'utf8'),
) as Awaited<ReturnType<typeof buildVectors>>;
const relocationVectors = JSON.parse(
  readFileSync(new URL('../vectors/relocation-v1.json', import.meta.url), 'utf8'),
) as { readonly records: readonly { readonly bytes: string }[] };

/**
 * Records as hostile providers, hostile writers and rotten disks give them, through the openers that the program uses.
 * Each must open or fail with a typed error, soon: never anything else.
 */

const CASES = process.env.SLOW ? 50_000 : 5000;
/** Nothing here takes a hundredth of it; a hang takes all. */
const SLOWEST_MS = 5000;

const dice = new SeededRandom(20_261_128);
const totals = new Map<string, { cases: number; opened: number; slowestMs: number }>();
afterAll(() => {
  console.table(Object.fromEntries(totals));
  const cases = [...totals.values()].reduce((sum, one) => sum + one.cases, 0);
  console.log(`records: ${cases} mutations, all opened or refused with a typed error`);
  if (process.env.SLOW) expect(cases).toBeGreaterThanOrEqual(50_000);
});

/** @param share of all cases. */
async function attack(what: string, share: number, open: () => unknown): Promise<void> {
  const total = { cases: 0, opened: 0, slowestMs: 0 };
  totals.set(what, total);
  for (let left = Math.ceil(share * CASES); left > 0; left--) {
    const started = performance.now();
    try {
      await open();
      total.opened++;
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.kind === 'Unexpected') throw error;
    }
    total.cases++;
    total.slowestMs = Math.max(total.slowestMs, Math.round(performance.now() - started));
  }
  expect(total.slowestMs).toBeLessThan(SLOWEST_MS);
}

const objectId = fromHex(vectors.object.object_id);
const keys = vaultKeysOf(deriveSubkeys(fromHex(vectors.vault.root_key)));
const { sealed: sealedKey, manifestMac } = deriveObjectKeys(fromHex(vectors.object.object_key));
const roots = vectors.roots.map(({ bytes }) => fromHex(bytes));
const segments = vectors.segment_nodes.map(({ bytes }) => fromHex(bytes));
const index = fromHex(vectors.index_node.bytes);
const code = createLinearCode({ algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 });
const random = (length: number): Uint8Array => dice.bytes(length);
const aad = (...marks: readonly number[]): Uint8Array => concatBytes(Uint8Array.from(marks), objectId);

/** As its writer would authenticate it. */
function signed(root: Uint8Array, key: Uint8Array): Uint8Array {
  const { mac: _, ...fields } = decodeNode(root) as Record<string, unknown>;
  return encodeNode({ ...fields, mac: keyedHash(key, encodeNode(fields)) });
}

/** A field of a node, unsealed, changed and sealed again. */
function resealed(node: Uint8Array, mark: Uint8Array): Uint8Array {
  const fields = decodeNode(node) as Record<string, unknown>;
  const plain = unseal(sealedKey, mark, fields.sealed as Uint8Array);
  return encodeNode({ ...fields, sealed: seal(sealedKey, mark, mutateValue(plain, dice), random) });
}

const openSegment = (bytes: Uint8Array): unknown => {
  const record = decodeSegmentNode(bytes, objectId, code.totalShards);
  viewSegment(record, code);
  return unsealSegment(sealedKey, objectId, record);
};
const openIndex = (bytes: Uint8Array): unknown =>
  unsealIndexNode(decodeIndexNode(bytes, objectId), objectId, sealedKey);

describe('changed records', () => {
  it('roots', async () => {
    await attack('root, bytes', 0.08, () => {
      const bytes = mutateBytes(dice.of(roots), dice);
      const { record } = openRoot(bytes, keys.wrap);
      // What opens is what was written.
      expect(roots.some((root) => Buffer.compare(signed(root, manifestMac), bytes) === 0)).toBe(true);
      return record;
    });
    await attack('root, its public part', 0.1, () => decodeRoot(mutateValue(dice.of(roots), dice)));
    await attack('root, by a hostile writer', 0.06, () =>
      openRoot(signed(mutateValue(dice.of(roots), dice), manifestMac), keys.wrap),
    );
    await attack('root, its sealed part', 0.06, () =>
      openRoot(signed(resealed(dice.of(roots), aad(1, 0xfe)), manifestMac), keys.wrap),
    );
  });

  it('relocations', async () => {
    const relocations = relocationVectors.records.map(({ bytes }) => fromHex(bytes));
    const open = (bytes: Uint8Array): unknown => {
      const record = { ...decodeRelocation(bytes), recorded: true };
      const segment = decodeSegmentNode(dice.of(segments), objectId, code.totalShards);
      return relocate(viewSegment(segment, code), [record]);
    };
    await attack('relocation, bytes', 0.04, () => open(mutateBytes(dice.of(relocations), dice)));
    await attack('relocation, values', 0.04, () => open(mutateValue(dice.of(relocations), dice)));
  });

  it('segments and index nodes', async () => {
    await attack('segment, bytes', 0.1, () => openSegment(mutateBytes(dice.of(segments), dice)));
    await attack('segment, values', 0.12, () => openSegment(mutateValue(dice.of(segments), dice)));
    await attack('segment, its sealed part', 0.1, () =>
      openSegment(resealed(segments[0]!, concatBytes(aad(1), u64(0)))),
    );
    await attack('index node, bytes', 0.06, () => openIndex(mutateBytes(index, dice)));
    await attack('index node, values', 0.06, () => openIndex(mutateValue(index, dice)));
    await attack('index node, its sealed part', 0.04, () => openIndex(resealed(index, aad(1, 0xff))));
  });

  it('pointers, slots and certificates', async () => {
    const { context } = await testVault({ providers: 1 });
    const { name_key, sealed, slot_content } = vectors.pointers[0]!;
    const mark = concatBytes(Uint8Array.of(1, 0xfc), fromHex(name_key));
    const plain = unseal(keys.pointer, mark, fromHex(sealed));
    await attack('pointer, bytes', 0.04, () =>
      openPointer(mutateBytes(fromHex(sealed), dice), name_key, keys.pointer),
    );
    await attack('pointer, values', 0.06, () =>
      openPointer(seal(keys.pointer, mark, mutateValue(plain, dice), random), name_key, keys.pointer),
    );
    await attack('slot', 0.02, () => {
      const content = mutateBytes(fromHex(slot_content), dice);
      const read = readSlotContent({ ...context, keys }, content);
      if (read !== undefined) expect(read.nameKey).toBe(name_key);
    });
    const certificate = encodeNode((decodeNode(roots[0]!) as { certificate: unknown }).certificate);
    await attack('certificate', 0.06, () => readCertificate(decodeNode(mutateValue(certificate, dice))));
  });

  it('profiles and journals', async () => {
    const profile = encodeProfile(newProfile(DEFAULT_LADDER));
    await attack('profile', 0.04, () => decodeProfile(mutateBytes(profile, dice)));
    const { context } = await testVault({ providers: 1 });
    const header = {
      owner: 'gone',
      nameKey: 'ab'.repeat(32),
      manifest: vectors.roots[0]!.address,
      obsolete: vectors.roots[1]!.address,
    };
    const journal = context.engine.table('journal');
    await attack('journal', 0.02, async () => {
      const values = {
        ...header,
        [dice.of(Object.keys(header))]: dice.of([null, 5, '', [], {}, 'b3:00', 'x'.repeat(2000)]),
      };
      const text = utf8Encode(JSON.stringify(values));
      await journal.put('0123', dice.below(2) === 0 ? text : mutateBytes(text, dice));
      const blobs = utf8Encode(`p1/${vectors.roots[2]!.address}\np1`);
      await journal.put('0123/0', mutateBytes(blobs, dice));
      try {
        await sweepJournal(context, () => true);
      } finally {
        await journal.delete('0123');
        await journal.delete('0123/0');
      }
    });
  });
});

it('manifests by a hostile writer, read, verified and deleted', async () => {
  const { context } = await testVault({
    providers: 4,
    chunkBytes: 65_536,
    policy: { packTargetBytes: 65_536 },
  });
  const bytes = noise(600_000);
  const put = await putObject(context, bytes, { name: 'x' });
  const table = context.engine.table('manifests');
  const root = (await table.get(put.manifest))!;
  const key = openRoot(root, context.keys.wrap).keys.manifestMac;
  const share = 0.005;
  await attack('whole manifest', share, async () => {
    const hostile = signed(mutateValue(root, dice), key);
    const address = addressOf(context.blake3.hash(hostile));
    await table.put(address, hostile);
    const signal = AbortSignal.timeout(SLOWEST_MS);
    const read = await readAll(await getObject(context, address, { signal })).catch(
      (error: unknown) => error,
    );
    if (read instanceof Uint8Array) expect(Buffer.compare(read, bytes)).toBe(0);
    await verifyObject(context, address, { deep: true, signal });
    if (!(read instanceof Uint8Array)) throw read;
  });
  // And none of them has touched another object.
  expect(Buffer.compare(await readAll(await getObject(context, 'x')), bytes)).toBe(0);
});
