import { wasmBlake3 as blake3 } from '../../src/core/b3/wasm.ts';
import type { LogFiles } from '../../src/receipts/anchors/log-files.ts';
import { type AuditReport, auditEpoch } from '../../src/receipts/audit.ts';
import type { ReceiptDesk } from '../../src/receipts/desk.ts';
import { type DeskOptions, openReceiptDesk } from '../../src/receipts/desk.ts';
import type { Ed25519 } from '../../src/receipts/ed25519/ed25519.ts';
import { createOpensslEd25519 } from '../../src/receipts/ed25519/openssl.ts';
import type { AppendFile, ReceiptFiles } from '../../src/receipts/log/files.ts';
import { EPOCH_MS, type ReadRequest } from '../../src/receipts/records/grants.ts';
import { encodeReceipt, type ReadGrant, signAck } from '../../src/receipts/records/records.ts';
import { FakeClock } from '../helpers/fake-clock.ts';

export const EPOCH = 500_000;
export const START_MS: number = EPOCH * EPOCH_MS;
export const FOLDER = '/receipts';
export const ed25519: Ed25519 = createOpensslEd25519();

/** Thrown by everything that is asked after the machine stopped. */
export class Stopped extends Error {}

interface Node {
  data: Uint8Array;
  /** What is on the disk for sure. */
  flushed: Uint8Array;
  /** Whether the name is. */
  isNamed: boolean;
  /** What the name stood for before, where it is not sure what it stands for. */
  before?: Uint8Array | undefined;
}

/**
 * A file system as a crash sees it: what was not flushed is there, half there, garbage or gone afterwards. It stops at the
 * step that it is told, and counts them.
 */
export class CrashingFiles implements ReceiptFiles, LogFiles {
  readonly #nodes = new Map<string, Node>();
  /** Steps that are left; none: it stops at the next. */
  steps: number = Number.POSITIVE_INFINITY;
  taken = 0;
  /** Throws instead of the step, without a crash. */
  fault: ((step: string) => Error | undefined) | undefined;

  get isStopped(): boolean {
    return this.steps < 0;
  }

  /** What is left after the machine stopped. @param random from 0 to 1. */
  afterCrash(random: () => number): CrashingFiles {
    const left = new CrashingFiles();
    for (const [path, { data, flushed, isNamed, before }] of this.#nodes) {
      if (!isNamed && random() < 0.5) {
        if (before !== undefined) left.put(path, before);
        continue;
      }
      const kept = survivors(data, flushed, random);
      left.#nodes.set(path, { data: kept, flushed: kept, isNamed: true });
    }
    return left;
  }

  copy(): CrashingFiles {
    const copy = new CrashingFiles();
    for (const [path, { data }] of this.#nodes)
      copy.#nodes.set(path, { data: data.slice(), flushed: data.slice(), isNamed: true });
    return copy;
  }

  paths(): string[] {
    return [...this.#nodes.keys()].sort();
  }

  get(path: string): Uint8Array {
    return this.#nodes.get(path)!.data;
  }

  put(path: string, data: Uint8Array): void {
    this.#nodes.set(path, { data, flushed: data, isNamed: true });
  }

  remove(path: string): void {
    this.#nodes.delete(path);
  }

  async list(folder: string): Promise<readonly string[]> {
    const names = this.paths()
      .filter((path) => path.startsWith(`${folder}/`))
      .map((path) => path.slice(folder.length + 1).split('/')[0]!);
    return [...new Set(names)];
  }

  async read(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const data = this.#nodes.get(path)?.data.slice();
    if (data !== undefined && data.length > maxBytes)
      throw Object.assign(new Error('long'), { code: 'EFBIG' });
    return data;
  }

  async open(path: string): Promise<AppendFile> {
    const node = this.#nodes.get(path) ?? {
      data: new Uint8Array(0),
      flushed: new Uint8Array(0),
      isNamed: false,
    };
    this.step('open');
    this.#nodes.set(path, node);
    this.step('open: folder');
    node.isNamed = true;
    return {
      size: async () => node.data.length,
      append: async (bytes) => {
        const { data } = node;
        // Half of it is there when it fails.
        node.data = Buffer.concat([data, bytes.subarray(0, bytes.length >> 1)]);
        this.step('append');
        node.data = Buffer.concat([data, bytes]);
      },
      flush: async () => {
        this.step('flush');
        node.flushed = node.data;
      },
      truncate: async (size) => {
        this.step('truncate');
        node.data = node.data.slice(0, size);
      },
      isNamed: async () => this.#nodes.get(path) === node,
      close: async () => undefined,
    };
  }

  async place(path: string, bytes: Uint8Array): Promise<boolean> {
    const draft = path.replace(/[^/]+$/, '.draft-$&');
    this.#nodes.set(draft, {
      data: bytes.subarray(0, bytes.length >> 1),
      flushed: new Uint8Array(0),
      isNamed: false,
    });
    this.step('place: write');
    this.#nodes.set(draft, { data: bytes, flushed: bytes, isNamed: false });
    this.step('place: link');
    const isFree = !this.#nodes.has(path);
    if (isFree) this.#nodes.set(path, { data: bytes, flushed: bytes, isNamed: false });
    this.step('place: remove');
    this.#nodes.delete(draft);
    this.step('place: folder');
    this.#nodes.get(path)!.isNamed = true;
    return isFree;
  }

  async replace(path: string, bytes: Uint8Array): Promise<void> {
    const draft = path.replace(/[^/]+$/, '.draft-$&');
    this.#nodes.set(draft, {
      data: bytes.subarray(0, bytes.length >> 1),
      flushed: new Uint8Array(0),
      isNamed: false,
    });
    this.step('replace: write');
    this.#nodes.delete(draft);
    const node: Node = { data: bytes, flushed: bytes, isNamed: false, before: this.#nodes.get(path)?.data };
    this.#nodes.set(path, node);
    this.step('replace: folder');
    node.isNamed = true;
  }

  async removeFolder(path: string): Promise<void> {
    for (const one of this.paths().filter((name) => name.startsWith(`${path}/`))) {
      this.step('remove');
      this.#nodes.delete(one);
    }
  }

  step(name: string): void {
    this.taken++;
    if (this.steps-- <= 0) throw new Stopped(name);
    const fault = this.fault?.(name);
    if (fault !== undefined) throw fault;
  }
}

/** Flushed bytes are there; of the others, as many as the disk had got to, or pages that it had not. */
function survivors(data: Uint8Array, flushed: Uint8Array, random: () => number): Uint8Array {
  const [shorter, longer] = data.length < flushed.length ? [data, flushed] : [flushed, data];
  if (random() < 0.3) return shorter.slice();
  const end = shorter.length + Math.floor(random() * (longer.length - shorter.length + 1));
  const kept = longer.slice(0, end);
  if (random() < 0.3) kept.fill(0, shorter.length + Math.floor(random() * (end - shorter.length)));
  return kept;
}

export interface World {
  readonly files: CrashingFiles;
  readonly clock: FakeClock;
  readonly desk: ReceiptDesk;
}

/** Ids that differ, and are the same again in another run. */
export function countingRandom(from = 1): (length: number) => Uint8Array {
  let next = from;
  return (length) => {
    const bytes = new Uint8Array(length);
    let x = Math.imul(next++, 0x9e3779b1);
    for (let i = 0; i < length; i++) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      bytes[i] = x;
    }
    return bytes;
  };
}

export async function openDesk(
  options: Partial<DeskOptions> & Pick<DeskOptions, 'files' | 'clock'>,
): Promise<ReceiptDesk> {
  return openReceiptDesk({
    ...{
      folder: FOLDER,
      blake3,
      ed25519,
      key: new Uint8Array(32).fill(7),
      random: countingRandom(),
    },
    ...options,
  });
}

export async function newWorld(options: Omit<Partial<DeskOptions>, 'files' | 'clock'> = {}): Promise<World> {
  const files = new CrashingFiles();
  const clock = newClock();
  return { files, clock, desk: await openDesk({ files, clock, ...options }) };
}

const MANIFEST = new Uint8Array(32).fill(0x11);

export const requestOf = (provider = 'p1', length = 1_000): ReadRequest => ({
  manifest: MANIFEST,
  provider,
  domain: 'example.org',
  path: '/a',
  client: '192.0.2.1',
  length,
});

export const grantOf = (desk: ReceiptDesk, provider?: string, length?: number): ReadGrant =>
  desk.issue(requestOf(provider, length));

export const reader = ed25519.signer(new Uint8Array(32).fill(9));

export const ackOf = (
  grant: ReadGrant,
  bytes: number = grant.length,
  ts: number = grant.issued,
  signer = reader,
): Uint8Array => encodeReceipt(signAck(grant, { bytes, ts }, signer));

/** A minute into the first epoch. */
export function newClock(): FakeClock {
  const clock = new FakeClock();
  clock.jump = START_MS + 60_000 - clock.now();
  return clock;
}

export const auditOf = (files: CrashingFiles, epoch: number = EPOCH): Promise<AuditReport> =>
  auditEpoch({ files, folder: FOLDER, blake3, ed25519 }, epoch);
