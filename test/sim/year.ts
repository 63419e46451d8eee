import type { Config } from '../../src/config/types.ts';
import { Guard } from './guard.ts';
import { configOf, Home, SimProcess, type Stage } from './process.ts';
import { SimProvider } from './provider.ts';
import { SealedRecords } from './sealed.ts';
import { type Streams, streamsOf } from './streams.ts';
import { Truth } from './truth.ts';
import { World } from './world.ts';
import { type Calamities, calamitiesOf, expectedLosses, PROVIDERS, ROT, type Windows } from './year-plan.ts';

export interface YearOptions {
  readonly objects: number;
  /** In which a year comes to pass: with fewer all comes so much faster, and is looked for so much more often. */
  readonly days: number;
  readonly repaired: boolean;
}

/** What became of a year. */
export interface YearResult {
  readonly deaths: number;
  readonly rotten: number;
  readonly objects: number;
  readonly lost: number;
  /** Chunks that were rebuilt, and the bytes that were read and written for it. */
  readonly repairs: number;
  readonly bytesRead: number;
  readonly bytesRestored: number;
  /** Objects lost, by the certificates. */
  readonly expected: number;
  readonly problems: readonly string[];
}

const DAY_MS = 86_400_000;
const YEAR_DAYS = 365;
const CODE = { dataShards: 4, parityShards: 2 };
/** Everything is read back once in so many days, a part each day. */
const SCRUB_DAYS = 30;
const AUDIT_DAYS = 7;
/** Who died is given up by then. */
const NOTICED_DAYS = 1;
const CALL_STEPS = 200_000;

/** One year of a vault whose providers die, rot and come back with old data. The same seed brings the same calamities. */
export async function runYear(seed: number, options: YearOptions): Promise<YearResult> {
  const guard = new Guard();
  const year = new Year(seed, options);
  try {
    await year.pass();
    return await year.result(guard.escapes);
  } finally {
    guard.end();
  }
}

class Year {
  readonly #options: YearOptions;
  readonly #world = new World();
  readonly #streams: Streams;
  readonly #plan: Calamities;
  readonly #providers: SimProvider[] = [];
  readonly #home = new Home('1');
  readonly #records = new SealedRecords(() => {});
  readonly #problems: string[] = [];
  readonly #sum = { repairs: 0, bytesRead: 0, bytesRestored: 0, rotten: 0 };
  /** Those that the configuration names. */
  #configured: string[] = [];
  #put = 0;
  #putBack = (): void => {};

  constructor(seed: number, options: YearOptions) {
    this.#options = options;
    this.#streams = streamsOf(seed);
    this.#plan = calamitiesOf(this.#streams.faults, options.days);
    for (let i = 0; i < PROVIDERS; i++) this.#configured.push(this.#addProvider());
  }

  async pass(): Promise<void> {
    const { days, repaired } = this.#options;
    for (let day = 0; day < days; day++) {
      this.#calamities(day);
      await this.#work(this.#withKey(day), day);
      if (repaired) await this.#work(this.#withoutKey(day), day);
      this.#world.nowMs = Math.max(this.#world.nowMs, (day + 1) * DAY_MS);
    }
  }

  async result(escapes: ReadonlySet<string>): Promise<YearResult> {
    const domains = this.#providers.map(({ id }) => ({
      id,
      domain: { provider: id, account: id, region: 'sim' },
    }));
    const truth = new Truth({ disk: this.#home.disk, providers: this.#providers, domains });
    const standing = await truth.standing();
    let lost = this.#put - standing.length;
    let tolerates = CODE.parityShards;
    for (const object of standing) {
      tolerates = Math.min(tolerates, object.record.certificate.tolerates);
      if ((await truth.survives(object)) < 0) lost++;
    }
    const promise = { objects: this.#put, shards: CODE.dataShards + CODE.parityShards, tolerates };
    const expected = expectedLosses(promise, this.#options.repaired ? this.#windows : undefined);
    const { deaths } = this.#plan;
    const problems = [...this.#problems, ...escapes];
    return { deaths: deaths.length, objects: this.#put, lost, expected, ...this.#sum, problems };
  }

  /** A death is noticed after a day, and repaired within the next; a rotten blob is found after half a scrub, on average. */
  get #windows(): Windows {
    const day = this.#scale / YEAR_DAYS;
    return { death: (NOTICED_DAYS + 0.5) * day, rot: (this.#days(SCRUB_DAYS) / 2 + 1) * day };
  }

  /** Days of a real year that come to pass in one. */
  get #scale(): number {
    return YEAR_DAYS / this.#options.days;
  }

  #days(real: number): number {
    return Math.max(1, Math.round(real / this.#scale));
  }

  #addProvider(): string {
    const id = `p${this.#providers.length + 1}`;
    const around = { world: this.#world, streams: this.#streams, records: this.#records };
    this.#providers.push(new SimProvider(id, around));
    return id;
  }

  get #stage(): Stage {
    const swarm = { ...CODE, perAccount: 1, files: false };
    const config: Config = configOf(this.#configured, swarm, undefined);
    return {
      ...{ world: this.#world, streams: this.#streams, records: this.#records, config },
      providers: this.#providers,
      watch: undefined,
      sealed: new Map(),
      violation: (what) => this.#problems.push(what),
    };
  }

  #calamities(day: number): void {
    const { deaths, returned } = this.#plan;
    const rots = this.#streams.trouble;
    for (const provider of this.#providers) {
      const rotten = provider.away ? 0 : provider.rotShare(rots, ROT / this.#options.days);
      this.#sum.rotten += rotten;
    }
    for (const { provider } of deaths.filter((death) => death.day === day)) this.#lose(provider);
    const silent = this.#providers[returned.provider]!;
    if (day === returned.copied) this.#putBack = silent.backup();
    if (day === returned.away) this.#lose(returned.provider);
    if (day === returned.back) {
      this.#putBack();
      silent.away = false;
    }
  }

  #lose(provider: number): void {
    this.#providers[provider]!.wipe();
    this.#providers[provider]!.away = true;
  }

  /** Lets time pass until it is done. */
  async #work(work: Promise<void>, day: number): Promise<void> {
    let over = false;
    work.then(
      () => {
        over = true;
      },
      (error) => {
        this.#problems.push(`day ${day}: ${error instanceof Error ? error.stack : error}`);
        over = true;
      },
    );
    const { nowMs, steps } = this.#world;
    if (!(await this.#world.run(() => over, nowMs + DAY_MS, steps + CALL_STEPS)))
      this.#problems.push(`day ${day}: it took too long`);
  }

  /** What the owner does: puts objects, one half at once and the others over the year, and replaces who is gone. */
  async #withKey(day: number): Promise<void> {
    const { objects, days } = this.#options;
    this.#replaceTheDead(day);
    const due = Math.ceil((objects / 2) * (1 + day / days));
    const isBack = day === this.#plan.returned.back;
    const isTidied = day % this.#days(7) === 0;
    if (due <= this.#put && !isBack && !isTidied) return;
    const process = await SimProcess.start(this.#stage, this.#home);
    const { workload } = this.#streams;
    while (this.#put < due) {
      const content = workload.bytes(workload.between(3_000, 60_000));
      const put = process.vault.putObject(content, { name: `n${this.#put}` });
      // Where too few take it, it is put another day.
      if ((await put.catch(() => undefined)) === undefined) break;
      this.#put++;
    }
    if (this.#options.repaired && isTidied) await process.life.sleep(90_000);
    await process.close();
  }

  #replaceTheDead(day: number): void {
    const noticed = this.#days(NOTICED_DAYS);
    const { deaths, returned } = this.#plan;
    const gone = deaths
      .filter((death) => death.day + noticed === day)
      .map(({ provider }) => `p${provider + 1}`);
    this.#configured = this.#configured.filter((id) => !gone.includes(id));
    for (const _ of gone) this.#configured.push(this.#addProvider());
    const id = `p${returned.provider + 1}`;
    if (day === returned.away + noticed) this.#configured = this.#configured.filter((one) => one !== id);
    if (day === returned.back) this.#configured.push(id);
  }

  /** What keeps it: without the key, every day. */
  async #withoutKey(day: number): Promise<void> {
    const process = await SimProcess.start(this.#stage, this.#home, { isWorker: true, sealed: true });
    const { vault } = process;
    const of = this.#days(SCRUB_DAYS);
    await vault.scrub({ subset: { part: 1 + (day % of), of } });
    if (day % this.#days(AUDIT_DAYS) === 0) await vault.audit();
    const { chunks, bytesRead, bytesRestored } = await vault.repair();
    this.#sum.repairs += chunks.success;
    this.#sum.bytesRead += bytesRead;
    this.#sum.bytesRestored += bytesRestored;
    await process.close();
  }
}
