import { blake3 } from '@noble/hashes/blake3.js';

/**
 * What docs/format/receipt.md says, read from the page alone and as slowly as it is said: nothing of `src` is in it.
 */

const H = (...parts: readonly Uint8Array[]): Uint8Array => blake3(Buffer.concat(parts));
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

interface PageHash {
  leaf(data: Uint8Array): Uint8Array;
  node(left: Uint8Array, right: Uint8Array): Uint8Array;
  empty(): Uint8Array;
}

const B3: PageHash = {
  leaf: (data) => H(Uint8Array.of(0), data),
  node: (left, right) => H(Uint8Array.of(1), left, right),
  empty: () => H(),
};

/** "Tree": of n > 1 leaves the left half has the largest power of two below n. */
export function treeByThePage(hash: PageHash, records: readonly Uint8Array[]): Uint8Array {
  if (records.length === 0) return hash.empty();
  if (records.length === 1) return hash.leaf(records[0]!);
  let left = 1;
  while (2 * left < records.length) left *= 2;
  return hash.node(treeByThePage(hash, records.slice(0, left)), treeByThePage(hash, records.slice(left)));
}

export type Item = number | string | boolean | null | Uint8Array | Item[] | { [key: string]: Item };

/** One item of canonical CBOR, and where it ends. */
export function itemAt(bytes: Uint8Array, at: number): [Item, number] {
  if (at >= bytes.length) throw new Error('short');
  const [major, info] = [bytes[at]! >> 5, bytes[at]! & 31];
  if (major === 7) {
    const simple = new Map<number, Item>([
      [20, false],
      [21, true],
      [22, null],
    ]).get(info);
    if (simple === undefined) throw new Error('neither true, false nor null');
    return [simple, at + 1];
  }
  let n = BigInt(info);
  let next = at + 1;
  if (info >= 24) {
    if (info > 27) throw new Error('indefinite');
    const width = 2 ** (info - 24);
    const hex = Buffer.from(bytes.subarray(next, next + width)).toString('hex');
    if (hex.length !== 2 * width) throw new Error('short');
    n = BigInt(`0x${hex}`);
    next += width;
    if (n < (info === 24 ? 24n : 2n ** BigInt(4 * width))) throw new Error('not the shortest head');
  }
  if (n >= 2n ** 53n) throw new Error('too large');
  const length = Number(n);
  if (major === 0) return [length, next];
  if (major === 2 || major === 3) {
    if (next + length > bytes.length) throw new Error('short');
    const content = bytes.subarray(next, next + length);
    return [
      major === 2 ? content : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content),
      next + length,
    ];
  }
  if (major === 4) {
    const list: Item[] = [];
    for (let i = 0; i < length; i++) {
      const [item, end] = itemAt(bytes, next);
      list.push(item);
      next = end;
    }
    return [list, next];
  }
  if (major !== 5) throw new Error('no such type in the format');
  const map: { [key: string]: Item } = {};
  let before: Buffer | undefined;
  for (let i = 0; i < length; i++) {
    const [key, end] = itemAt(bytes, next);
    const encoded = Buffer.from(bytes.subarray(next, end));
    if (typeof key !== 'string') throw new Error('a key is no text');
    if (
      before !== undefined &&
      !(
        before.length < encoded.length ||
        (before.length === encoded.length && Buffer.compare(before, encoded) < 0)
      )
    )
      throw new Error('keys not in order');
    before = encoded;
    [map[key], next] = itemAt(bytes, end);
  }
  return [map, next];
}

/** All of one file's records. @throws Error at the first batch that is not whole. */
export function recordsOf(file: Uint8Array): Uint8Array[] {
  const records: Uint8Array[] = [];
  for (let at = 0; at < file.length; ) {
    const [batch, end] = itemAt(file, at);
    const [digest, content] = batch as [Uint8Array, Uint8Array];
    if (!same(digest, H(content))) throw new Error(`the batch at ${at} is not whole`);
    for (let from = 0; from < content.length; ) {
      const [, to] = itemAt(content, from);
      records.push(content.subarray(from, to));
      from = to;
    }
    at = end;
  }
  return records;
}

type Fields = { [key: string]: Item };

/** What the page says of each kind, as what a field may be. */
const BYTES = (n: number) => (item: Item) => item instanceof Uint8Array && item.length === n;
const INT = (item: Item): boolean => typeof item === 'number';
const TEXT = (item: Item): boolean => typeof item === 'string' && Buffer.byteLength(item) <= 255;
const FIELDS: Record<string, Record<string, (item: Item) => boolean>> = {
  read: {
    ...{ gateway: BYTES(32), manifest: BYTES(32), provider: TEXT, domain: TEXT, path_hash: BYTES(32) },
    ...{ client_hash: BYTES(32), read_id: BYTES(32), issued: INT, length: INT, bytes: INT, ts: INT },
    allowed: (item) => typeof item === 'boolean',
  },
  denials: { gateway: BYTES(32), reason: TEXT, reads: INT, from: INT, to: INT },
  execution: {
    ...{
      gateway: BYTES(32),
      manifest: BYTES(32),
      domain: TEXT,
      path_hash: BYTES(32),
      execution_id: BYTES(16),
    },
    ...{ cpu_us: INT, disk_read: INT, disk_written: INT, ts: INT, pk: BYTES(32), sig: BYTES(64) },
    provider: (item) => TEXT(item) && item !== '',
  },
};
const REASON = /^[a-z0-9_]{1,64}$/;

/** One record. @throws Error unless it is what the page says. */
export function recordByThePage(bytes: Uint8Array): Fields {
  const [item, end] = itemAt(bytes, 0);
  if (end !== bytes.length || bytes.length > 4096) throw new Error('not one record');
  const { v, kind, ...fields } = item as Fields;
  const rules = FIELDS[kind as string];
  if (v !== 1 || rules === undefined) throw new Error('unknown version or kind');
  const optional = kind === 'read' ? ['reason', 'pk', 'sig'] : [];
  for (const [name, rule] of Object.entries(rules))
    if (fields[name] === undefined || !rule(fields[name])) throw new Error(`${name} is wrong`);
  for (const name of Object.keys(fields))
    if (rules[name] === undefined && !optional.includes(name)) throw new Error(`${name} has no place`);
  if (fields.reason !== undefined && !REASON.test(fields.reason as string))
    throw new Error('reason is wrong');
  if (kind === 'denials' && (fields.reads as number) < 1) throw new Error('reads is wrong');
  if (kind !== 'read') return { kind: kind!, ...fields };
  if (fields.pk !== undefined && !BYTES(32)(fields.pk)) throw new Error('pk is wrong');
  if (fields.sig !== undefined && !BYTES(64)(fields.sig)) throw new Error('sig is wrong');
  if ((fields.pk === undefined) !== (fields.sig === undefined)) throw new Error('half a signature');
  if ((fields.bytes as number) > (fields.length as number)) throw new Error('too many bytes');
  if (fields.allowed === (fields.reason !== undefined)) throw new Error('reason does not belong');
  if (!fields.allowed && (fields.bytes !== 0 || fields.pk !== undefined)) throw new Error('denied and given');
  return { kind: kind!, ...fields };
}

/** What a root must state of these records, `root` and `subtrees` included. */
export function statedByThePage(files: readonly (readonly Uint8Array[])[]): Fields {
  const all = files.flat();
  const records = all.map(recordByThePage);
  const reads = records.filter(({ kind }) => kind === 'read');
  const allowed = reads.filter((read) => read.allowed);
  const executions = records.filter(({ kind }) => kind === 'execution');
  const sum = (of: readonly Fields[], name: string): number =>
    of.reduce((n, one) => Math.min(n + (one[name] as number), 2 ** 53 - 1), 0);
  const ids = [...new Set([...allowed, ...executions].map((one) => one.provider as string))];
  ids.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const providers = ids.map((provider): Fields => {
    const its = allowed.filter((read) => read.provider === provider);
    const signed = its.filter((read) => read.sig !== undefined);
    const ran = executions.filter((one) => one.provider === provider);
    const few = 10 * signed.length < its.length;
    return {
      provider,
      reads: its.length,
      signed: signed.length,
      readers: new Set(
        signed.map((read) =>
          Buffer.from(read.pk as Uint8Array)
            .toString('hex')
            .slice(0, 32),
        ),
      ).size,
      bytes: sum(its, 'bytes'),
      signed_bytes: sum(signed, 'bytes'),
      executions: ran.length,
      cpu_us: sum(ran, 'cpu_us'),
      credited: few ? 0 : sum(signed, 'bytes'),
      ...(few ? { reason: 'few_signed' } : {}),
    };
  });
  return {
    root: treeByThePage(B3, all),
    subtrees: files.map((file) => treeByThePage(B3, file)),
    count: all.length,
    bytes: sum(allowed, 'bytes'),
    credited: sum(providers, 'credited'),
    denied:
      reads.length -
      allowed.length +
      sum(
        records.filter(({ kind }) => kind === 'denials'),
        'reads',
      ),
    providers,
  };
}
