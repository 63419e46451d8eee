/** Receipts in a process of their own: `receipts-run.js sign|leave|close|audit FOLDER COUNT NOW`. Prints JSON. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../src/core/clock.ts';
import { secureRandom } from '../src/core/random.ts';
import type { ReceiptDesk } from '../src/receipts/desk.ts';
import type { Signer } from '../src/receipts/ed25519/ed25519.ts';
import { encodeReceipt, type ReadGrant, signAck } from '../src/receipts/records/records.ts';
import { auditReceipts, openThreadedDesk, receiptParts } from '../src/vault/open-receipts.ts';

export interface Appended {
  readonly records: number;
  /** While they were taken, and not while they were made. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Of them, those of the thread that serves the reads. */
  readonly mainSeconds: number;
  /** Milliseconds: what a read that comes meanwhile waits for its turn and for its id. */
  readonly readP99: number;
  readonly readMax: number;
  /** From an acknowledgement to its answer. */
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
/** Acknowledgements that are under way at a time. */
const IN_FLIGHT = 256;
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

const grant = (i: number): ReadGrant =>
  desk.issue({
    manifest: new Uint8Array(32).fill(i % 251),
    provider: `provider-${i % PROVIDERS}`,
    domain: 'static.example.org',
    path: `/assets/${i % 1_000}.js`,
    client: `192.0.2.${i % 256}`,
    length: 65_536,
  });

const peakMib = (): number => process.resourceUsage().maxRSS / 1024;
const p99 = (sorted: Float64Array): number => sorted[Math.floor(sorted.length * 0.99)] ?? 0;

/** Reads that come while acknowledgements are taken, until it is told to stop. */
async function readMeanwhile(isOver: () => boolean): Promise<number[]> {
  const added: number[] = [];
  while (!isOver()) {
    const start = performance.now();
    // A whole turn of the loop: what an answer that just came waits at most.
    await new Promise((resolve) => setImmediate(resolve));
    grant(added.length);
    added.push(performance.now() - start);
    await sleep(1);
  }
  return added;
}

async function append(
  take: (desk: ReceiptDesk, i: number) => Promise<unknown>,
  prepare: (from: number) => void,
): Promise<Appended> {
  const added: number[] = [];
  const answered = new Float64Array(count);
  let [seconds, cpu, main] = [0, 0, 0];
  for (let from = 0; from < count; from += CHUNK) {
    prepare(from);
    const to = Math.min(from + CHUNK, count);
    let next = from;
    const start = performance.now();
    const before = process.cpuUsage();
    const mainBefore = mainThreadSeconds();
    const client = async (): Promise<void> => {
      while (next < to) {
        const i = next++;
        const sent = performance.now();
        const refusal = await take(desk, i);
        if (refusal !== undefined) throw new Error(`refused: ${refusal}`);
        answered[i] = performance.now() - sent;
      }
    };
    let isOver = false;
    const reads = readMeanwhile(() => isOver);
    await Promise.all(Array.from({ length: IN_FLIGHT }, client));
    isOver = true;
    seconds += (performance.now() - start) / 1_000;
    const { user, system } = process.cpuUsage(before);
    cpu += (user + system) / 1e6;
    main += mainThreadSeconds() - mainBefore;
    for (const ms of await reads) added.push(ms);
  }
  const waits = Float64Array.from(added).sort();
  answered.sort();
  return {
    ...{ records: count, seconds, cpuSeconds: cpu, mainSeconds: main, openMs, peakMib: peakMib() },
    ...{ readP99: p99(waits), readMax: waits.at(-1) ?? 0, answerP99: p99(answered) },
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
  return append((to, i) => to.accept(acks[i % CHUNK]!, 65_536), make);
}

async function leave(): Promise<Appended> {
  let grants: ReadGrant[] = [];
  const make = (from: number): void => {
    grants = Array.from({ length: CHUNK }, (_, i) => grant(from + i));
  };
  return append((to, i) => to.unsigned(grants[i % CHUNK]!, 65_536), make);
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
