import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { linkedAbort } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { recordedTime } from '../../core/clock.ts';
import { isHoldfastError } from '../../core/errors.ts';
import { PutJournal } from '../../records/journal.ts';
import { checkName } from '../../records/name-record.ts';
import type { Policy, VaultContext } from '../context.ts';
import { type ByteSource, type ObjectInput, rereadable, toSource } from '../source.ts';
import { chooseCode, planPut } from './plan.ts';
import type { PutProgress, PutResult } from './put-result.ts';
import { PutRun } from './put-run.ts';
import { takeUp } from './resume.ts';
import { checkContentType } from './root.ts';
import { hashesOf } from './stored-parts.ts';

export interface PutOptions {
  /** What the object can be got by. Without a name only its manifest address leads to it. */
  readonly name?: string | undefined;
  /** Its media type, up to 256 characters. Default: `application/octet-stream`. */
  readonly contentType?: string | undefined;
  /** Overrides `placement.min_tolerates`. */
  readonly minTolerates?: number | undefined;
  /**
   * Notes what is finished of a file that is put under a name, so that when this put is cut off, another one of the same
   * file and name goes on from there, as this one does where such notes are found. An abort then keeps what is stored,
   * for `retention.unfinished_hours`. Only a file handle can be read again; of other sources nothing is kept. Default
   * false.
   */
  readonly resume?: boolean | undefined;
  readonly onProgress?: ((progress: PutProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a new version of an object is made with that is there already. */
export interface NewVersion {
  /** Instead of the one that the configuration names. */
  readonly code: LinearCode;
  /** What the name must stand for when the new version takes its place. */
  readonly over: BlobAddress;
}

/**
 * Stores one object. It is visible, under its name and by its manifest, only after every shard was acknowledged
 * and the certificate holds; a failure or abort before leaves everything as it was, but see `resume`.
 * @throws HoldfastError `Unavailable` (`not_enough_providers`), `PermissionDenied` (`certificate_shortfall`),
 * `ConfigInvalid` (`bad_name`, `bad_content_type`), `Aborted` (`put_interrupted` where what is stored is kept), and what the source
 * throws; with `version` `Conflict` (`name_changed`) where the name stands for another by then: that stays.
 */
export async function putObject(
  context: VaultContext,
  input: ObjectInput,
  options: PutOptions = {},
  version?: NewVersion,
): Promise<PutResult> {
  const name = options.name === undefined ? undefined : checkName(options.name);
  const contentType = checkContentType(options.contentType ?? 'application/octet-stream');
  const minTolerates = options.minTolerates ?? context.policy.minTolerates;
  recordedTime(context.clock);
  const source = await toSource(input);
  const request: PutRequest = { ...options, name, contentType, minTolerates, input, source, ...version };
  try {
    return await putOnce(context, request, options.resume === true);
  } catch (error) {
    // Only found where an earlier run's segments are read again: nothing else of the source has been read then.
    if (!isHoldfastError(error, 'Conflict') || error.code !== 'source_changed') throw error;
    return { ...(await putOnce(context, request, false)), begunAnew: error.message };
  } finally {
    context.metrics.putEta(0);
    await source.close();
  }
}

interface PutRequest extends PutOptions, Partial<NewVersion> {
  readonly contentType: string;
  readonly minTolerates: number;
  readonly input: ObjectInput;
  readonly source: ByteSource;
}

/** @param goesOn whether with what an earlier run stored. */
async function putOnce(context: VaultContext, request: PutRequest, goesOn: boolean): Promise<PutResult> {
  const { name, contentType, minTolerates, input, source, onProgress, signal } = request;
  const stop = linkedAbort(signal, 'put');
  let journal: PutJournal | undefined;
  try {
    const { policy } = context;
    const coded =
      request.code === undefined ? context : { ...context, policy: codedBy(policy, request.code) };
    const plan = planPut(coded, minTolerates, source.size);
    const entered = context.places.enter(plan.placed, { signal: stop.signal });
    const nameKey = name === undefined ? undefined : context.keys.nameKey(name);
    const file = request.resume && nameKey !== undefined ? await rereadable(input) : undefined;
    const look = { plan, minTolerates, signal: stop.signal, onRead: onReadAgain(request, source) };
    const found = goesOn && file ? await takeUp(context, { ...file, ...look, nameKey: nameKey! }) : undefined;
    const resumed = found?.journal && found;
    journal = resumed?.journal ?? (await PutJournal.begin(context, nameKey));
    const chosen = resumed
      ? { code: plan.code, source: resumed.rest, onlyChunkBytes: undefined }
      : await chooseCode(coded, plan, minTolerates, source, stop.signal);
    const isInterrupted = (): boolean => signal?.aborted === true;
    const result = await new PutRun(context, {
      ...{ chosen, name, contentType, plan, minTolerates, journal, entered, stop, isInterrupted, onProgress },
      hashes: resumed?.parts ?? (await hashesOf(context)),
      resumed,
      version: file?.version,
      over: request.over,
    }).run();
    return { ...result, begunAnew: found?.why };
  } finally {
    journal?.release();
    stop.dispose();
  }
}

/** Whole copies that are asked for are as many as that, however small the object is. */
const codedBy = (policy: Policy, code: LinearCode): Policy => ({
  ...policy,
  code,
  fitsCode: false,
  replicaBelowBytes: code.params.algorithm === 'replica' ? 0 : policy.replicaBelowBytes,
});

function onReadAgain({ onProgress }: PutOptions, { size }: ByteSource): (bytes: number) => void {
  return (bytesRead) => onProgress?.({ bytesRead, bytesStored: 0, totalBytes: size });
}
