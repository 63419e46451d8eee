import { createLinearCode } from '../coding/erasure/code.ts';
import type { LinearCode } from '../coding/erasure/linear-code.ts';
import type { CodeParams } from '../coding/erasure/params.ts';
import { parseCode } from '../coding/erasure/parse-code.ts';
import { coderGate, type Environment } from '../config/rollout.ts';
import type { RolloutConfig } from '../config/types.ts';
import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../core/errors.ts';
import { codeFields } from '../manifest/code-fields.ts';
import { decodeRoot, type RootRecord } from '../manifest/root.ts';
import { DamageLog } from '../object/damage.ts';
import type { VaultContext } from '../pipeline/context.ts';
import { getObject } from '../pipeline/get/get.ts';
import { planPut } from '../pipeline/put/plan.ts';
import { putObject } from '../pipeline/put/put.ts';
import { loadRoot } from '../records/manifests.ts';
import { listNames } from '../records/name-listing.ts';
import type { NamedObject } from '../records/name-page.ts';
import { resolveReference } from '../records/names.ts';
import type { RepairPace } from './repair/pace.ts';

/** What is to be coded anew, and how. */
export interface RecodeTask {
  /** A name; undefined: all objects that have one. */
  readonly name: string | undefined;
  /** E.g. `reed-solomon:16+8`. */
  readonly code: string;
  /** So many losses are enough, though it be fewer than now. Default: of each object as many as were certified. */
  readonly minTolerates?: number | undefined;
}

/** What coding objects anew will take: at most, for what compresses takes less. */
export interface RecodePlan {
  /** Objects that have another code, and their bytes. */
  readonly objects: number;
  readonly bytes: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** To all providers, about. */
  readonly requests: number;
  /** GiB that are read, each times the mean `price` of the object's providers. */
  readonly cost: number;
  /** By the pace of repair. */
  readonly ms: number;
  /** Objects that have the code already, or are so small that they are kept as whole copies. */
  readonly done: number;
  /** Objects that stay as they are, for they would survive fewer losses; and the losses that the code survives now. */
  readonly refused: number;
  readonly tolerates: number;
}

export interface RecodeResult {
  /** Objects that have a new version, and their bytes. */
  readonly objects: number;
  readonly bytes: number;
  readonly done: number;
  readonly refused: number;
  /** Objects that were put or removed meanwhile: what they stand for now stays. */
  readonly changed: number;
  /** Objects that could not be read or stored, and why the first could not. */
  readonly failed: number;
  readonly why: string | undefined;
}

export interface RecodeTools {
  readonly pace: RepairPace;
  readonly bytesPerSecond: number;
  /** Which codes may be written. */
  readonly rollout: RolloutConfig;
  readonly env: Environment;
  /** @throws HoldfastError where the disk that the state is on is full. */
  readonly beforeStore: () => Promise<void>;
}

const GIB = 1024 ** 3;

/** Reads what the records have of each object. @throws HoldfastError `NotFound`, `ConfigInvalid`; `Aborted`. */
export async function planRecode(
  context: VaultContext,
  tools: RecodeTools,
  task: RecodeTask,
  options: AbortOptions,
): Promise<RecodePlan> {
  const run = new Recode(context, tools, task);
  const sum = { objects: 0, bytes: 0, bytesRead: 0, bytesWritten: 0, requests: 0, cost: 0 };
  const others = { done: 0, refused: 0 };
  for await (const { object, record } of run.objects(options)) {
    const what = run.verdict(object, record);
    if (what !== 'due') {
      others[what]++;
      continue;
    }
    if (record === undefined) continue;
    const { providers, chunks } = record;
    const written = object.size * growthOf(run.code.params);
    const price = providers.reduce((all, id) => all + (context.directory.get(id)?.price ?? 1), 0);
    sum.objects++;
    sum.bytes += object.size;
    sum.bytesRead += object.size;
    sum.bytesWritten += Math.ceil(written);
    sum.requests += chunks * dataShardsOf(record.code) + run.placed + Math.ceil(written / run.packBytes);
    sum.cost += (object.size / GIB) * (price / Math.max(1, providers.length));
  }
  const ms = Math.round(((sum.bytesRead + sum.bytesWritten) * 1000) / tools.bytesPerSecond);
  return { ...sum, ms, ...others, tolerates: run.tolerates };
}

/**
 * Puts each object anew with another code, one after the other, as it reads it: the old version goes as any that was replaced.
 * One that was cut off passes over what is done when it is run again. What fails keeps no other from being done.
 * @throws HoldfastError as `planRecode`; what the engine throws.
 */
export async function recodeObjects(
  context: VaultContext,
  tools: RecodeTools,
  task: RecodeTask,
  options: AbortOptions & { readonly onProgress?: ((bytes: number) => void) | undefined },
): Promise<RecodeResult> {
  const run = new Recode(context, tools, task);
  const sum = { objects: 0, bytes: 0, done: 0, refused: 0, changed: 0, failed: 0 };
  let why: string | undefined;
  for await (const { object, record } of run.objects(options)) {
    const what = run.verdict(object, record);
    if (what !== 'due') {
      sum[what]++;
      continue;
    }
    const before = sum.bytes;
    try {
      await run.recode(object, record, {
        ...options,
        onBytes: (read) => options.onProgress?.(before + read),
      });
      sum.objects++;
      sum.bytes += object.size;
    } catch (thrown) {
      throwIfAborted(options.signal, 'recode');
      const error = asHoldfastError(thrown);
      if (error.kind === 'Unexpected' || error.code.startsWith('engine_')) throw error;
      if (isChanged(error)) sum.changed++;
      else if (error.code === 'certificate_shortfall') sum.refused++;
      else {
        sum.failed++;
        why ??= `${object.name}: ${error.message}`;
      }
    }
  }
  return { ...sum, why };
}

/** What was read is gone, or no longer what its name stands for. */
const isChanged = (error: HoldfastError): boolean =>
  error.code === 'name_changed' || error.code === 'version_replaced';

interface ReadOptions extends AbortOptions {
  readonly onBytes: (read: number) => void;
}

class Recode {
  readonly code: LinearCode;
  /** Losses that it survives at the providers that take shards now, and how many those are. */
  readonly tolerates: number;
  readonly placed: number;
  readonly #context: VaultContext;
  readonly #tools: RecodeTools;
  readonly #task: RecodeTask;

  constructor(context: VaultContext, tools: RecodeTools, task: RecodeTask) {
    const { rollout, env } = tools;
    const params = parseCode(task.code);
    const gate = params.algorithm === 'replica' ? undefined : coderGate(params.algorithm, rollout, env);
    if (gate?.allowed === false) throw notPermitted(task.code, gate.reason!);
    this.code = createLinearCode(params);
    this.#context = context;
    this.#tools = tools;
    this.#task = task;
    const policy = { ...context.policy, code: this.code, fitsCode: false };
    // Whatever its size: what small objects survive is another matter.
    const plan = planPut({ directory: context.directory, policy }, 0, undefined);
    this.tolerates = plan.certificate.tolerates;
    this.placed = plan.placed.length;
  }

  get packBytes(): number {
    return this.#context.policy.packTargetBytes;
  }

  /** What is asked for, with its root, where that can be had. */
  async *objects(
    options: AbortOptions,
  ): AsyncGenerator<{ readonly object: NamedObject; readonly record: RootRecord | undefined }> {
    const context = this.#context;
    for await (const object of this.#named(options)) {
      throwIfAborted(options.signal, 'recode');
      const root = await loadRoot(context, object.manifest, new DamageLog(), options).catch(
        (error: unknown) => {
          if (isHoldfastError(error, 'NotFound') || isHoldfastError(error, 'Unavailable')) return undefined;
          throw error;
        },
      );
      yield { object, record: root && decodeRoot(root) };
    }
  }

  async *#named({ signal }: AbortOptions): AsyncGenerator<NamedObject> {
    const context = this.#context;
    const { name } = this.#task;
    if (name === undefined) {
      for await (const one of listNames(context, { signal })) if ('manifest' in one) yield one;
      return;
    }
    const { manifest, pointer } = await resolveReference(context, name, { signal });
    if (pointer === undefined) throw withoutName();
    yield { ...pointer, manifest };
  }

  verdict({ size }: NamedObject, record: RootRecord | undefined): 'due' | 'done' | 'refused' {
    // That it cannot be read shows when it is.
    if (record === undefined) return 'due';
    const { code, certificate } = record;
    const { params } = this.code;
    const staysCopies =
      params.algorithm !== 'replica' &&
      code.algorithm === 'replica' &&
      size <= this.#context.policy.replicaBelowBytes;
    if (staysCopies || isSame(code, params)) return 'done';
    return this.tolerates < (this.#task.minTolerates ?? certificate.tolerates) ? 'refused' : 'due';
  }

  /** Memory is bounded by the arena: the put reads only as fast as it stores. */
  async recode(
    { name, manifest }: NamedObject,
    record: RootRecord | undefined,
    { signal, onBytes }: ReadOptions,
  ): Promise<void> {
    const context = this.#context;
    const { pace, beforeStore } = this.#tools;
    await beforeStore();
    const read = await getObject(context, manifest, { signal });
    const each = (1 + growthOf(this.code.params)) / 2;
    const paced = async function* (): AsyncGenerator<Uint8Array> {
      let bytes = 0;
      for await (const piece of read) {
        // It counts twice what it is told of.
        await pace.store(Math.ceil(piece.length * each), { signal });
        bytes += piece.length;
        onBytes(bytes);
        yield piece;
      }
    };
    const { contentType } = read;
    const minTolerates = this.#task.minTolerates ?? record?.certificate.tolerates;
    const version = { code: this.code, over: manifest };
    await putObject(context, paced(), { name, contentType, minTolerates, signal }, version);
  }
}

const isSame = (a: CodeParams, b: CodeParams): boolean =>
  JSON.stringify(codeFields(a)) === JSON.stringify(codeFields(b));

const dataShardsOf = (code: CodeParams): number => (code.algorithm === 'replica' ? 1 : code.dataShards);

/** Bytes that are stored of each that is put. */
const growthOf = (params: CodeParams): number => createLinearCode(params).totalShards / dataShardsOf(params);

const withoutName = (): HoldfastError =>
  new HoldfastError('ConfigInvalid', 'an object without a name has no versions, and cannot be coded anew', {
    code: 'bad_reference',
    hint: 'Get it and put it under a name.',
  });

const notPermitted = (code: string, why: string): HoldfastError =>
  new HoldfastError('ConfigInvalid', `"${code}" is not to be written: ${why}`, { code: 'bad_code' });
