import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { openPage, type Page, sealPage } from '../../src/records/name-page.ts';

interface Vectors {
  readonly root_key: string;
  readonly name_index_key: string;
  readonly pages: readonly {
    readonly place: string;
    readonly nonce: string;
    readonly level: number;
    readonly low: string;
    readonly high: string | null;
    /** Name, version, BLAKE3 of the manifest, size, time. */
    readonly names: readonly (readonly [string, number, string, number, number])[];
    readonly pages: readonly (readonly [string, string])[];
    readonly sealed: string;
  }[];
}

const path = new URL('../vectors/name-index-v1.json', import.meta.url);
const vectors = JSON.parse(readFileSync(path, 'utf8')) as Vectors;
const keys = vaultKeysOf(deriveSubkeys(fromHex(vectors.root_key)));

it.each(vectors.pages)(
  'the pinned page $place opens to what it was made of, and is what is written today',
  (pinned) => {
    const page: Page = {
      level: pinned.level,
      low: pinned.low,
      high: pinned.high ?? undefined,
      names: pinned.names.map(([name, version, manifest, size, createdMs]) => {
        return { name, version, manifest: addressOf(fromHex(manifest)), size, createdMs };
      }),
      pages: pinned.pages.map(([low, id]) => ({ low, id })),
    };
    expect(toHex(keys.nameIndex)).toBe(vectors.name_index_key);
    expect(openPage(keys.nameIndex, pinned.place, fromHex(pinned.sealed))).toEqual(page);
    const sealed = sealPage(keys.nameIndex, pinned.place, page, () => fromHex(pinned.nonce));
    expect(toHex(sealed)).toBe(pinned.sealed);
  },
);

it('a page opens in no other place, with no other key and with no bit changed', () => {
  const { place, sealed } = vectors.pages[0]!;
  const refused = expect.objectContaining({ kind: 'Corrupt' });
  expect(() => openPage(keys.nameIndex, `${place}0`, fromHex(sealed))).toThrow(refused);
  expect(() => openPage(keys.pointer, place, fromHex(sealed))).toThrow(refused);
  const changed = fromHex(sealed);
  changed[40]! ^= 1;
  expect(() => openPage(keys.nameIndex, place, changed)).toThrow(refused);
});
