/** Receipts in a process of their own: `receipts-run.js sign|leave|close|audit FOLDER COUNT NOW`. Prints JSON. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../src/core/clock.ts';
import { secureRandom } from '../src/core/random.ts';
import { OpenReads } from '../src/gateway/open-reads.ts';
import { Turns } from '../src/gateway/turns.ts';
import type { Signer } from '../src/receipts/ed25519/ed25519.ts';
import type { ReadRequest } from '../src/receipts/records/grants.ts';
import { encodeReceipt, type ReadGrant, signAck } from '../src/receipts/records/records.ts';
import { auditReceipts, openThreadedDesk, receiptParts } from '../src/vault/open-receipts.ts';
import { meterReads, type ReadFigures } from './receipts-reads.ts';

export interface Appended extends ReadFigures {
  readonly records: number;
  /** While they were taken, and not while they were made. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Of them, those of the thread that serves the reads. */
  readonly mainSeconds: number;
  /** Milliseconds, from a request with acknowledgements to its answer. */
  readonly answerP99: number;
  /** Until what there was before was known again. */
  readonly openMs: number;
  readonly peakMib: number;
}

export interface Closed {
  readonly ms: number;
  readonly cpuMs: number;
  readonly count: number;
  readonly peakMib: number;
  /** Before it began. */
  readonly idleMib: number;
}

export interface Audited {
  readonly ms: number;
  readonly signatures: number;
  readonly difference: unknown;
}

const PROVIDERS = 9;
const READERS = 2_000;
/** Acknowledgements that one request brings, and requests that are under way at a time. */
const [REQUEST, REQUESTS] = [256, 2];
/** Without acknowledgements, between those that come at full rate. */
const QUIET_MS = 400;
const HOUR_MS = 3_600_000;
/** So many are made, and then taken. */
const CHUNK = 10_000;
const MIB = 1024 ** 2;

const [what, folder, countText, nowText] = process.argv.slice(2) as [string, string, string, string];
const count = Number(countText);
/** An hour that does not end while it is measured. */
const began = systemClock.monotonic();
const clock = { ...systemClock, now: () => Number(nowText) + (systemClock.monotonic() - began) / 1_000 };

const opened = performance.now();
const parts = await receiptParts(folder, process.env);
const desk = await openThreadedDesk({ folder, clock, key: new Uint8Array(32).fill(1) });
const openMs = performance.now() - opened;

/** As a gateway takes acknowledgements. */
const receipts = new OpenReads({
  ...{ desk, clock, log: { event: () => undefined }, ackMs: HOUR_MS, maxOpen: 1_000_000 },
  metrics: { written: () => undefined, rejected: () => undefined, lost: () => undefined },
});

const requestOf = (i: number): ReadRequest => ({
  manifest: new Uint8Array(32).fill(i % 251),
  provider: `provider-${i % PROVIDERS}`,
  domain: 'static.example.org',
  path: `/assets/${i % 1_000}.js`,
  client: `192.0.2.${i % 256}`,
  length: 65_536,
});
const grant = (i: number): ReadGrant => desk.issue(requestOf(i));
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

const peakMib = (): number => process.resourceUsage().maxRSS / 1024;
const p99 = (sorted: Float64Array): number => sorted[Math.floor(sorted.length * 0.99)] ?? 0;

/** @param take as many at a time as one request brings. */
async function append(
  take: (from: number, to: number) => Promise<(string | undefined)[]>,
  prepare: (from: number) => void,
): Promise<Appended> {
  const answered: number[] = [];
  let [seconds, cpu, main] = [0, 0, 0];
  const reads = await meterReads(() => receipts.begin(requestOf(0), () => 65_536).grant);
  for (let from = 0; from < count; from += CHUNK) {
    prepare(from);
    await reads.during('quiet', () => sleep(QUIET_MS));
    const to = Math.min(from + CHUNK, count);
    let next = from;
    const client = async (): Promise<void> => {
      while (next < to) {
        const [first, sent] = [next, performance.now()];
        next = Math.min(next + REQUEST, to);
        const refusal = (await take(first, next)).find((one) => one !== undefined);
        if (refusal !== undefined) throw new Error(`refused: ${refusal}`);
        answered.push(performance.now() - sent);
      }
    };
    await reads.during('beside', async () => {
      const start = performance.now();
      const before = process.cpuUsage();
      const mainBefore = mainThreadSeconds();
      await Promise.all(Array.from({ length: REQUESTS }, client));
      seconds += (performance.now() - start) / 1_000;
      const { user, system } = process.cpuUsage(before);
      cpu += (user + system) / 1e6;
      main += mainThreadSeconds() - mainBefore;
    });
  }
  return {
    ...{ records: count, seconds, cpuSeconds: cpu, mainSeconds: main, openMs, peakMib: peakMib() },
    ...{ ...(await reads.end()), answerP99: p99(Float64Array.from(answered).sort()) },
  };
}

/** CPU time of this thread, which has the number of the process. */
const mainThreadSeconds = (): number =>
  Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e9;

async function sign(): Promise<Appended> {
  const signers: Signer[] = Array.from({ length: READERS }, () => parts.ed25519.signer(secureRandom(32)));
  const acks: Uint8Array[] = [];
  const make = (from: number): void => {
    for (let i = 0; i < CHUNK; i++) {
      const given = grant(from + i);
      const signer = signers[(from + i) % READERS]!;
      acks[i] = encodeReceipt(signAck(given, { bytes: given.length, ts: Math.floor(clock.now()) }, signer));
    }
  };
  return append(
    (from, to) => Promise.all(range(from, to).map((i) => receipts.accept(acks[i % CHUNK]!))),
    make,
  );
}

async function leave(): Promise<Appended> {
  let grants: ReadGrant[] = [];
  // As a gateway does it.
  const turns = new Turns(16, CHUNK);
  const unsigned = async (i: number): Promise<string | undefined> => {
    await turns.take();
    return desk.unsigned(grants[i % CHUNK]!, 65_536);
  };
  const make = (from: number): void => {
    grants = Array.from({ length: CHUNK }, (_, i) => grant(from + i));
  };
  return append((from, to) => Promise.all(range(from, to).map(unsigned)), make);
}

async function close(): Promise<Closed> {
  const idleMib = process.memoryUsage().rss / MIB;
  const start = performance.now();
  const before = process.cpuUsage();
  const [root] = await desk.closeDue();
  const { user, system } = process.cpuUsage(before);
  const ms = performance.now() - start;
  return { ms, cpuMs: (user + system) / 1_000, count: root?.count ?? 0, peakMib: peakMib(), idleMib };
}

async function audit(): Promise<Audited> {
  const start = performance.now();
  const { signatures, difference } = await auditReceipts(folder, count);
  return { ms: performance.now() - start, signatures, difference };
}

const RUNS: Readonly<Record<string, () => Promise<unknown>>> = { sign, leave, close, audit };
const figures = await RUNS[what]!();
await desk.close();
process.stdout.write(JSON.stringify(figures));
