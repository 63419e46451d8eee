import { isHoldfastError } from '../../src/core/errors.ts';
import type { Files } from './files.ts';
import type { Change, Model } from './model.ts';
import type { SimProcess } from './process.ts';
import type { Streams } from './streams.ts';
import type { World } from './world.ts';

/** No call of a vault takes longer, whatever its providers do. */
const LONGEST_CALL_MS = 60 * 60_000;

/** What clients need of a run. */
export interface Served {
  readonly world: World;
  readonly streams: Streams;
  readonly model: Model;
  /** Nothing goes wrong: no call may fail, but for a name that is not there. */
  readonly mustSucceed: boolean;
  violation(what: string): void;
  /** Told when a call begins. */
  onCall(process: SimProcess): void;
  /** Told when a change was acknowledged. */
  onAcknowledged(process: SimProcess): void;
}

/** Calls a vault as its users do, and compares what it says with what it may say. */
export class Client {
  readonly #run: Served;
  /** What a dying process leaves behind undecided. */
  readonly #running = new Map<Change, SimProcess>();

  constructor(run: Served) {
    this.#run = run;
  }

  get isIdle(): boolean {
    return this.#running.size === 0;
  }

  /** Nobody will say what came of its changes. */
  died(process: SimProcess): void {
    for (const [change, by] of this.#running) {
      if (by !== process) continue;
      this.#run.model.end(change, 'doubtful', this.#run.world.nowMs);
      this.#running.delete(change);
    }
  }

  /** @returns undefined when it failed, as it may under faults. */
  async call<T>(operation: string, process: SimProcess, work: () => Promise<T>): Promise<T | undefined> {
    const { world } = this.#run;
    const { nowMs } = world;
    this.#run.onCall(process);
    try {
      const result = await work();
      world.count(`done ${operation}`);
      return result;
    } catch (error) {
      this.#failed(operation, error);
      return undefined;
    } finally {
      if (world.nowMs - nowMs > LONGEST_CALL_MS) this.#run.violation(`${operation} took too long`);
    }
  }

  put(process: SimProcess, name: string, content: Uint8Array): Promise<void> {
    return this.#change(process, name, content, () => process.vault.putObject(content, { name }));
  }

  /** Takes up what was cut off, if it is the same file still. */
  putFile(process: SimProcess, name: string, files: Files): Promise<void> {
    const { content, handle } = files.next(name);
    return this.#change(process, name, content, async () => {
      const { begunAnew, ...result } = await process.vault.putObject(handle, { name, resume: true });
      if (begunAnew !== undefined) this.#run.world.count(`done put anew: ${begunAnew}`);
      if (result.resumedBytes > 0) this.#run.world.count('done put resumed');
      files.stored(name);
      return true;
    });
  }

  remove(process: SimProcess, name: string): Promise<void> {
    return this.#change(process, name, undefined, () => process.vault.deleteObject(name));
  }

  async recover(process: SimProcess): Promise<void> {
    // What was in doubt may have reached the slots, and wins then.
    this.#run.model.strict = false;
    await this.call('recover', process, () => process.vault.recover());
  }

  /** @param sure every provider answers: nothing but what the model allows may come. */
  async list(process: SimProcess, sure: boolean): Promise<readonly string[]> {
    const { model, world } = this.#run;
    const startMs = world.nowMs;
    const names = await this.call('ls', process, async () => {
      const found: string[] = [];
      for await (const { name } of process.vault.listObjects()) found.push(name);
      return found;
    });
    if (names === undefined) return [];
    world.note('listed', names.join());
    for (const name of sure || model.strict ? model.names : []) {
      const listed = names.includes(name);
      if (!model.allowsPresence(name, listed, startMs)) {
        this.#run.violation(`the list ${listed ? 'still has' : 'lacks'} ${name}`);
      }
    }
    return names;
  }

  /** @param sure every provider answers: nothing but what the model allows may come. */
  async get(process: SimProcess, name: string, sure: boolean): Promise<Uint8Array | undefined> {
    const { model, world } = this.#run;
    const startMs = world.nowMs;
    let content: Uint8Array | undefined;
    try {
      const reader = await process.vault.getObject(name);
      content = await reader.bytes();
      world.count('done get');
    } catch (error) {
      this.#failed('get', error);
      if (!isHoldfastError(error, 'NotFound')) {
        if (sure) this.#run.violation(`lost: ${name}: ${error}`);
        return undefined;
      }
    }
    world.note('got', name, content?.length ?? 'nothing');
    if (content !== undefined && !model.knows(name, content)) {
      this.#run.violation(`wrong bytes: ${name}`);
    } else if ((sure || model.strict) && !isFork(name) && !model.allows(name, content, startMs)) {
      const what = content === undefined ? 'lost' : 'stale';
      this.#run.violation(
        `${what}: ${name} ${content === undefined ? 'is not found' : 'has an older content'}`,
      );
    }
    return content;
  }

  async #change(
    process: SimProcess,
    name: string,
    content: Uint8Array | undefined,
    work: () => Promise<unknown>,
  ): Promise<void> {
    const { model, world } = this.#run;
    const change = model.begin({ name, content, home: process.home.id, startMs: world.nowMs });
    this.#running.set(change, process);
    const done = await this.call(content === undefined ? 'rm' : 'put', process, work);
    this.#running.delete(change);
    model.end(change, done === undefined ? 'doubtful' : 'acknowledged', world.nowMs);
    world.note('changed', name, content?.length ?? 'gone', done === undefined ? 'failed' : 'done');
    if (done !== undefined) this.#run.onAcknowledged(process);
  }

  #failed(operation: string, error: unknown): void {
    if (!isHoldfastError(error)) {
      this.#run.violation(`${operation} threw ${error instanceof Error ? error.stack : error}`);
      return;
    }
    this.#run.world.count(`error ${operation} ${error.kind} ${error.code}`);
    this.#run.world.note(operation, error.kind, error.code, error.message);
    if (this.#run.mustSucceed && error.kind !== 'NotFound')
      this.#run.violation(`${operation} failed: ${error}`);
    if (error.kind === 'Unexpected') this.#run.violation(`${operation} threw ${error.stack}`);
  }
}

const isFork = (name: string): boolean => name.includes('(fork');
