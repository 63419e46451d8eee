import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export const OPERATIONS = ['put', 'overwrite', 'rm', 'gc', 'recover'] as const;
/** Those that look after what is there; they are struck beside puts and removals. */
export const UPKEEP = ['gc', 'scrub', 'repair', 'evacuate', 'replace'] as const;
/** Where what a provider held is lost too, and had again, and providers are left. */
export const REPAIR_OPERATIONS = ['put', 'overwrite', 'rm', ...UPKEEP] as const;
export const PHASES = ['plan', 'intent', 'packs', 'node', 'root', 'commit', 'back-up', 'close'] as const;
export type Operation = (typeof OPERATIONS | typeof REPAIR_OPERATIONS)[number];

export const LIBRARY: string = pathToFileURL(resolve('dist/index.js')).href;
export const NAMES = ['a', 'b', 'c', 'd'] as const;
/** One segment, and one size of several with nodes above them. */
export const SIZES = [3_000, 700, 200_000, 20_000, 100, 1_500] as const;
const PROVIDERS = 4;
/** What a chunk is cut into where providers are lost and left; each shard is to be at another one. */
const REPAIR_CODE = {
  erasure: { dataShards: 4, localParity: 2, globalParity: 1 },
  fountain: { kind: 'none', shards: 0 },
} as const;
/** What becomes of the providers then. */
const ROLES: Roles = { harmed: 'p5', spare: 'p10', left: 'p3' };
/** Without the one that is harmed, the one to spare and two that are being left there is one for each shard. */
const REPAIR_PROVIDERS = 11;

export interface Roles {
  /** The only provider that is ever harmed: each object survives that. Any other may be left. */
  readonly harmed: string;
  /** It is the first that holds nothing, to replace another. */
  readonly spare: string;
  /** By commands of the program. */
  readonly left: string;
}

export interface KillVault {
  /** Undefined: all providers stay as they are. */
  readonly roles: Roles | undefined;
  readonly home: string;
  readonly config: unknown;
  readonly ledger: Ledger;
  /** The state may be gone or half recovered. */
  lost: boolean;
  next: number;
  /** Operations that were refused one after the other, since providers were late. */
  refused: number;
}

interface Entry {
  /** What a reader may find. Null: no object. */
  may: Set<number | null>;
  /** What was acknowledged last, and what was begun since: where the state is lost, any of it may come back. */
  durable: Set<number | null>;
  /** Whether all providers know what a reader finds. */
  settled: boolean;
}

/** What the names of a vault may hold. */
export class Ledger {
  readonly #entries = new Map<string, Entry>(NAMES.map((name) => [name, entry(null)]));

  begin(name: string, tag: number | null): void {
    const { may, durable } = this.#of(name);
    may.add(tag);
    durable.add(tag);
    this.#of(name).settled = false;
  }

  acknowledge(name: string, tag: number | null): void {
    this.#entries.set(name, entry(tag));
  }

  /** The state is lost: what was visible and never acknowledged may be gone with it. */
  lose(): void {
    for (const each of this.#entries.values()) each.may = new Set(each.durable);
  }

  /** What it holds for certain; undefined where that is not. */
  holds(name: string): number | null | undefined {
    const { may } = this.#of(name);
    return may.size === 1 ? [...may][0] : undefined;
  }

  /** A recovery has copied what it found of these names to all providers. */
  settle(names: readonly string[]): void {
    for (const name of names) this.#of(name).settled = true;
  }

  /** @returns what the name should have held, where it did not. */
  read(name: string, tag: number | null): string | undefined {
    const { may, settled } = this.#of(name);
    if (settled) this.acknowledge(name, tag);
    else this.#of(name).may = new Set([tag]);
    return may.has(tag) ? undefined : [...may].join(' or ');
  }

  #of(name: string): Entry {
    return this.#entries.get(name)!;
  }
}

const entry = (tag: number | null): Entry => ({
  may: new Set([tag]),
  durable: new Set([tag]),
  settled: false,
});

/** @param repairs whether its providers are to be harmed and left. */
export async function makeVault(home: string, repairs: boolean): Promise<KillVault> {
  const { createVault } = (await import(LIBRARY)) as typeof import('../src/index.ts');
  await mkdir(home, { recursive: true });
  const config = {
    chunks: { ladder: ['64 KiB'], defaultBytes: '64 KiB' },
    packs: { targetBytes: '64 KiB' },
    // What is emptied must be gone at once.
    retention: { replacedSeconds: 0 },
    ...(repairs ? REPAIR_CODE : {}),
    providers: Array.from({ length: repairs ? REPAIR_PROVIDERS : PROVIDERS }, (_, i) => ({
      id: `p${i}`,
      adapter: 'fs' as const,
      root: join(home, 'providers', `p${i}`),
    })),
  };
  const vault = await createVault({ home, config: config as never, unwrapped: true, env: {} });
  const roles = repairs ? ROLES : undefined;
  if (roles) await vault.providers.setMaintenance(roles.spare, true);
  await vault.close();
  return { home, config, roles, ledger: new Ledger(), lost: false, next: 100, refused: 0 };
}

export interface KillReport {
  /** Processes that were killed, and the operations that were under way in them. */
  kills: number;
  struck: number;
  /** By operation, then by phase. */
  readonly counts: Map<string, Map<string, number>>;
  /** Of those operations, the commands of the program that were struck. */
  programs: number;
  /** Vaults that were being opened, looked at and tidied when their process was killed. */
  opening: number;
  /** Operations that ended well. */
  done: number;
  /** Operations that ended well in one process after another one of the same home was killed. */
  outlived: number;
  reads: number;
  emptied: number;
  /** Times that a provider was harmed, and that all it had lost was there again. */
  harmed: number;
  mended: number;
  /** Shards that were moved away from providers that were left, and segments that had to stay there. */
  moved: number;
  refused: number;
  /** Certificates that were compared with what was certified when the object was put. */
  certified: number;
  /** Blobs that only the scrub of an emptied vault found. */
  scrubbed: number;
  /** Commands that had to be repeated since a provider was late. */
  late: number;
  readonly failures: string[];
}

export const newReport = (): KillReport => ({
  ...{ kills: 0, struck: 0, counts: new Map(), programs: 0, opening: 0, done: 0, outlived: 0 },
  ...{
    reads: 0,
    harmed: 0,
    mended: 0,
    moved: 0,
    refused: 0,
    certified: 0,
    emptied: 0,
    scrubbed: 0,
    late: 0,
    failures: [],
  },
});

export function countStrike(report: KillReport, op: string, phase: string): void {
  report.struck++;
  const phases = report.counts.get(op) ?? new Map<string, number>();
  phases.set(phase, (phases.get(phase) ?? 0) + 1);
  report.counts.set(op, phases);
}

export const struckIn = (report: KillReport, op: Operation): number =>
  [...(report.counts.get(op)?.values() ?? [])].reduce((sum, n) => sum + n, 0);

/** In puts and overwrites. */
export const struckAt = (report: KillReport, phase: string): number =>
  (report.counts.get('put')?.get(phase) ?? 0) + (report.counts.get('overwrite')?.get(phase) ?? 0);

/** The content that a number stands for, as in test/fixtures/kill-child.mjs. */
export function contentOf(tag: number): Buffer {
  const seed = createHash('sha256').update(String(tag)).digest();
  return Buffer.alloc(SIZES[tag % SIZES.length]!, Buffer.concat([Buffer.from(`${tag}|`), seed]));
}

/** As in test/fixtures/kill-child.mjs. */
export function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
