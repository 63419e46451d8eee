import { addressOf, type BlobAddress } from '../core/address.ts';
import { fromHex, toHex, utf8Encode } from '../core/bytes.ts';
import { isCount } from '../core/counts.ts';
import type { RandomBytes } from '../core/random.ts';
import { seal, unseal } from '../keys/seal.ts';
import { decodeNode, encodeNode } from '../manifest/dag-cbor.ts';
import { Fields } from '../manifest/fields.ts';
import type { Pointer } from '../manifest/pointer.ts';

/** What a listing says of a name. */
export interface NamedObject {
  readonly name: string;
  /** Versions the name has had. */
  readonly version: number;
  readonly manifest: BlobAddress;
  readonly size: number;
  readonly createdMs: number;
}

/** What a listing says of a name that stands for this; undefined for one that was removed. */
export function listedAs({ name, version, manifest, size, createdMs }: Pointer): NamedObject | undefined {
  return manifest && { name, version, manifest, size, createdMs };
}

/**
 * A page of the ordered index of names. It says itself which names it covers, so that whoever comes by an old way sees
 * that it is the wrong one.
 */
export interface Page {
  /** 0 for names, else one more than the pages below. */
  readonly level: number;
  /** The first text that it covers. */
  readonly low: string;
  /** The first text that it covers no more; undefined: it covers all that follow. */
  readonly high: string | undefined;
  /** In order; empty above level 0. */
  readonly names: readonly NamedObject[];
  /** In order; empty at level 0. */
  readonly pages: readonly PageLink[];
}

export interface PageLink {
  readonly low: string;
  /** 32 hex digits. */
  readonly id: string;
}

export const PAGE_ID_BYTES = 16;
/** A page that would get more is split. */
export const MAX_PAGE_ENTRIES = 64;
/** A page that has fewer is united with one beside it, if there is room. */
export const MIN_PAGE_ENTRIES = 16;

const PAGE_VERSION = 1;
/** Above all versions' entries; longer pages are refused before they are decoded any further. */
const MAX_DECODED_ENTRIES = 1024;
const MAX_LEVEL = 16;
const MAX_TEXT = 1024;

/** @param place where the page is kept: moved elsewhere it does not open. */
export function sealPage(key: Uint8Array, place: string, page: Page, random: RandomBytes): Uint8Array {
  const { level, low, high, names, pages } = page;
  const plain = encodeNode({
    v: PAGE_VERSION,
    level,
    low,
    high: high ?? null,
    entries:
      level === 0
        ? names.map(({ name, version, manifest, size, createdMs }) => [
            name,
            version,
            fromHex(manifest.slice(3)),
            size,
            createdMs,
          ])
        : pages.map((link) => [link.low, fromHex(link.id)]),
  });
  return seal(key, pageAad(place), plain, random);
}

/** @throws HoldfastError `Corrupt`. */
export function openPage(key: Uint8Array, place: string, sealed: Uint8Array): Page {
  const fields = new Fields(decodeNode(unseal(key, pageAad(place), sealed)), 'page of names');
  fields.uint('v', PAGE_VERSION, PAGE_VERSION);
  const level = fields.uint('level', MAX_LEVEL);
  const low = fields.text('low', MAX_TEXT);
  const high = fields.take('high');
  if (high !== null && typeof high !== 'string') throw fields.bad('high', 'text or null');
  const entry = (value: unknown, length: number): readonly unknown[] => {
    if (!Array.isArray(value) || value.length !== length) throw fields.bad('entries', `lists of ${length}`);
    return value;
  };
  const names: NamedObject[] = [];
  const pages: PageLink[] = [];
  fields.list('entries', MAX_DECODED_ENTRIES, (value) => {
    if (level === 0) names.push(nameIn(entry(value, 5), fields));
    else pages.push(linkIn(entry(value, 2), fields));
  });
  fields.end();
  return { level, low, high: high ?? undefined, names, pages };
}

function nameIn([name, version, manifest, size, createdMs]: readonly unknown[], fields: Fields): NamedObject {
  const whole =
    typeof name === 'string' &&
    manifest instanceof Uint8Array &&
    manifest.length === 32 &&
    isCount(version) &&
    isCount(size) &&
    isCount(createdMs);
  if (!whole) throw fields.bad('entries', 'name, version, manifest, size and time');
  return { name, version, manifest: addressOf(manifest), size, createdMs };
}

function linkIn([low, id]: readonly unknown[], fields: Fields): PageLink {
  if (typeof low !== 'string' || !(id instanceof Uint8Array) || id.length !== PAGE_ID_BYTES) {
    throw fields.bad('entries', 'a text and the id of a page');
  }
  return { low, id: toHex(id) };
}

const pageAad = (place: string): Uint8Array =>
  Buffer.concat([Uint8Array.of(PAGE_VERSION, 0xfb), utf8Encode(place)]);
