import type { Subject } from './subjects.ts';
import { type Answered, Wire } from './wire.ts';
import type { Classed, ClassName, Workload } from './workloads.ts';

/** What a subject did under a load. */
export interface Driven {
  /** Milliseconds of each answer, from when it should have been asked for. */
  readonly classes: ReadonlyMap<ClassName, readonly number[]>;
  readonly requests: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Bytes in memory at the end, and at the most. */
  readonly rss: number;
  readonly most: number;
  /** 5xx that are not shed, and answers that never came. */
  readonly errors: number;
  readonly shed: number;
  /** Requests that the access log does not tell of. */
  readonly dropped: number;
}

interface Load {
  /** Requests a second, whether or not those before were answered. */
  readonly rate: number;
  readonly seconds: number;
}

const WARM_SECONDS = 2;
/** The clients that there are: more requests wait for one, and that counts. */
const MOST_WIRES = 128;
const TICK_MS = 5;
/** Of each class so many times are kept, evenly spread over a long run. */
const MOST_TIMES = 200_000;

/** Asks at a steady rate, as clients do who know nothing of each other. */
export async function driven(subject: Subject, workload: Workload, { rate, seconds }: Load): Promise<Driven> {
  const wires: Wire[] = [];
  const idle: Wire[] = [];
  const waiting: { readonly classed: Classed; readonly dueMs: number }[] = [];
  const tally = new Tally();
  let running = 0;
  const done: { call: () => void } = { call: () => {} };

  const serve = async (wire: Wire): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      running++;
      const answer = await wire.ask(next.classed.ask);
      running--;
      tally.add(next.classed.what, answer, performance.now() - next.dueMs);
    }
    idle.push(wire);
    if (running === 0) done.call();
  };
  const ask = (dueMs: number): void => {
    waiting.push({ classed: workload(), dueMs });
    let wire = idle.pop();
    if (wire === undefined && wires.length < MOST_WIRES) {
      wire = new Wire(subject.port);
      wires.push(wire);
    }
    if (wire !== undefined) void serve(wire);
  };
  const during = async (ms: number): Promise<void> => {
    const began = performance.now();
    for (let asked = 0, now = began; now < began + ms; now = performance.now()) {
      for (const due = ((now - began) * rate) / 1000; asked < due; asked++)
        ask(began + (1000 * asked) / rate);
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    while (running > 0 || waiting.length > 0)
      await new Promise<void>((resolve) => {
        done.call = resolve;
      });
  };

  await during(1000 * WARM_SECONDS);
  tally.clear();
  const logged = await subject.loggedLines();
  const cpu = subject.cpuSeconds();
  const began = performance.now();
  await during(1000 * seconds);
  const elapsed = (performance.now() - began) / 1000;
  const cpuSeconds = subject.cpuSeconds() - cpu;
  for (const wire of wires) wire.close();
  const lines = (await subject.loggedLines()) - logged;
  return {
    ...{ classes: tally.classes, requests: tally.requests, seconds: elapsed, cpuSeconds },
    ...{ rss: subject.memory('VmRSS'), most: subject.memory('VmHWM') },
    ...{ errors: tally.errors, shed: tally.shed, dropped: Math.max(0, tally.requests - lines) },
  };
}

class Tally {
  readonly classes = new Map<ClassName, number[]>();
  requests = 0;
  errors = 0;
  shed = 0;

  add(what: ClassName, { status }: Answered, ms: number): void {
    this.requests++;
    if (status === 429 || status === 503) this.shed++;
    // Who abuses a connection may have it closed.
    else if (status >= 500 || (status === 0 && what !== 'abuse')) this.errors++;
    const times = this.classes.get(what) ?? [];
    this.classes.set(what, times);
    if (times.length < MOST_TIMES) times.push(ms);
    else times[Math.floor((this.requests * 2_654_435_761) % MOST_TIMES)] = ms;
  }

  clear(): void {
    this.classes.clear();
    this.requests = 0;
    this.errors = 0;
    this.shed = 0;
  }
}
