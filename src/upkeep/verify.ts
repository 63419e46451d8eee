import { type AbortOptions, linkedAbort } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { asHoldfastError } from '../core/errors.ts';
import { type Damage, DamageLog } from '../object/damage.ts';
import type { OpenedManifest } from '../object/readable-segments.ts';
import type { ReadContext } from '../pipeline/context.ts';
import { readOpened } from '../pipeline/get/get.ts';
import type { Certificate } from '../placement/certificate.ts';
import { refuseIfBehind, whyUnreadable } from '../records/behind.ts';
import { openManifest } from '../records/manifests.ts';
import { resolveReference } from '../records/names.ts';
import { ObjectCheck } from './object-check.ts';

export interface VerifyResult {
  readonly manifest: BlobAddress;
  readonly name: string | undefined;
  /** True when every shard and every node is where, and what, the manifest says. */
  readonly intact: boolean;
  /** True when the object can be read in full right now. */
  readonly readable: boolean;
  readonly chunks: number;
  readonly shards: number;
  readonly bytesRead: number;
  readonly nodes: { readonly total: number; readonly leastCopies: number };
  readonly damage: readonly Damage[];
  /** How much damage there is in all; `damage` lists at most 10,000. */
  readonly damageTotal: number;
  /** Whether any bytes were wrong, rather than missing. */
  readonly corrupt: boolean;
  /** As it was put, and as it is with what was found. */
  readonly certificate: { readonly stored: Certificate; readonly live: Certificate };
  /** With `deep` only. */
  readonly deep?: DeepResult | undefined;
}

export interface VerifyOptions extends AbortOptions {
  /** Also checks that the shards belong together, and reads, decrypts and compares the whole object. */
  readonly deep?: boolean | undefined;
  readonly onProgress?: ((done: { readonly chunks: number; readonly of: number }) => void) | undefined;
}

/**
 * Reads back every shard of an object and checks it against the manifest, authenticated first. Reads only; needs the
 * memory of one segment's largest chunk at a time.
 * @throws HoldfastError `NotFound`; `Corrupt` when the manifest itself is not authentic; `Unavailable`, code
 * `state_behind`, for what cannot be read because this state is older than the objects; `Aborted`.
 */
export async function verifyObject(
  context: ReadContext,
  reference: string,
  options: VerifyOptions = {},
): Promise<VerifyResult> {
  const stop = linkedAbort(options.signal, 'verify');
  try {
    return await runVerify(context, reference, { ...options, signal: stop.signal });
  } finally {
    stop.dispose();
  }
}

async function runVerify(
  context: ReadContext,
  reference: string,
  options: VerifyOptions & { readonly signal: AbortSignal },
): Promise<VerifyResult> {
  const { manifest, pointer } = await resolveReference(context, reference, options);
  const damage = new DamageLog();
  const explained = async (error: unknown): Promise<never> => {
    throw pointer === undefined ? error : await whyUnreadable(context, pointer, error, options.signal);
  };
  const root = await openManifest(context, manifest, damage, options).catch(explained);
  const check = new ObjectCheck(context, { manifest, record: root.record }, damage, options);
  try {
    const name = pointer?.name ?? root.secrets.name;
    const result = { manifest, name, ...(await runCheck(check, options).catch(explained)) };
    if (!result.readable && pointer !== undefined) await refuseIfBehind(context, pointer, options.signal);
    if (!options.deep) return result;
    const opened = { manifest, root };
    return withDeep(result, await readDeeply(context, opened, check.chunksWithWrongParity, options.signal));
  } finally {
    check.close();
  }
}

async function runCheck(
  check: ObjectCheck,
  { onProgress }: VerifyOptions,
): Promise<Omit<VerifyResult, 'manifest' | 'name'>> {
  const { damage, record } = check;
  const nodes = await check.nodes();
  let done = 0;
  for await (const view of check.segments()) {
    for (let chunk = 0; chunk < view.shardLengths.length; chunk++) {
      await check.chunk(view, chunk);
      done++;
      onProgress?.({ chunks: done, of: record.chunks });
    }
  }
  const live = check.certificate();
  return {
    intact: damage.total === 0,
    readable: live.tolerates >= 0,
    chunks: done,
    shards: check.shards,
    bytesRead: check.bytesRead,
    nodes,
    damage: damage.found,
    damageTotal: damage.total,
    corrupt: damage.corrupt,
    certificate: { stored: record.certificate, live },
  };
}

/** What reading an object as its owner would came to. */
export interface DeepResult {
  /** Bytes of plaintext read and compared. */
  readonly plainBytes: number;
  /** Chunks whose shards are all as they were put, and do not belong together: the parity of these rebuilds nothing. */
  readonly chunksWithWrongParity: number;
  /** Why it is not the object that was put, or cannot be read; undefined when it is. */
  readonly problem: { readonly code: string; readonly message: string } | undefined;
}

/** What deep reading ends with when the shards are all as they were put. */
const WRONG: ReadonlySet<string> = new Set(['wrong_plain_hash', 'authentication', 'malformed_compression']);

interface Verdict {
  readonly intact: boolean;
  readonly readable: boolean;
  readonly corrupt: boolean;
}

/** The verdict of the shards alone, and what reading them came to. */
function withDeep<T extends Verdict>(result: T, deep: DeepResult): T & { readonly deep: DeepResult } {
  const { problem, chunksWithWrongParity } = deep;
  return {
    ...result,
    intact: result.intact && problem === undefined && chunksWithWrongParity === 0,
    readable: result.readable && problem === undefined,
    corrupt: result.corrupt || chunksWithWrongParity > 0 || WRONG.has(problem?.code ?? ''),
    deep,
  };
}

/** Reads, decrypts and decompresses all of an object and compares it with the hash that was taken when it was put. */
async function readDeeply(
  context: ReadContext,
  opened: OpenedManifest,
  chunksWithWrongParity: number,
  signal: AbortSignal,
): Promise<DeepResult> {
  let plainBytes = 0;
  try {
    for await (const piece of readOpened(context, opened, { signal }).borrow()) {
      plainBytes += piece.length;
    }
    return { plainBytes, chunksWithWrongParity, problem: undefined };
  } catch (thrown) {
    const { code, message, kind } = asHoldfastError(thrown);
    if (kind === 'Aborted') throw thrown;
    return { plainBytes, chunksWithWrongParity, problem: { code, message } };
  }
}
