import { toHex } from '../../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import { type GenerationStore, generationOf, MAX_GENERATION_BYTES, MAX_GENERATIONS } from '../generations.ts';
import { once } from '../leftovers.ts';
import { collect } from '../pieces.ts';
import { absent, removeKey, type S3Client } from './client.ts';

/**
 * Generations as objects made with `If-None-Match: *`. (`If-Match` on PUT would need no generations, but fewer
 * servers have it, and Ceph 16 refuses it even for the right ETag.)
 * @param listKeys keys under a prefix of the bucket.
 */
export function s3Generations(
  client: S3Client,
  prefix: string,
  random: RandomBytes,
  listKeys: (start: string, signal: AbortSignal | undefined) => AsyncIterable<{ readonly key: string }>,
): GenerationStore {
  const folderOf = (name: string): string => `${prefix}slots/${name}/`;

  const createKey = async (
    key: string,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> => {
    const headers = { 'if-none-match': '*' };
    const request = { method: 'PUT', key, headers, body: [bytes], bodyBytes: bytes.length, signal } as const;
    await (await client.call(request)).discard();
  };

  /** A server that ignores the condition would lose updates silently, so it is put to the test once. */
  const testConditions = once(async (signal: AbortSignal | undefined): Promise<void> => {
    const key = `${prefix}tmp/${toHex(random(16))}`;
    await createKey(key, new Uint8Array(), signal);
    const second = await createKey(key, new Uint8Array(), signal).catch((error: unknown) => error);
    await removeKey(client, key, signal);
    if (second === undefined) throw conditionsIgnored();
    if (!isHoldfastError(second, 'Conflict')) throw second;
  });

  return {
    async numbers(name, signal) {
      const numbers: number[] = [];
      for await (const { key } of listKeys(folderOf(name), signal)) {
        const number = generationOf(key.slice(folderOf(name).length));
        if (number !== undefined) numbers.push(number);
        if (numbers.length > MAX_GENERATIONS) break;
      }
      return numbers;
    },
    async read(name, number, signal) {
      const key = `${folderOf(name)}${number}`;
      const answer = await client.call({ method: 'GET', key, signal }).catch(absent);
      return answer === undefined ? undefined : collect(answer.body, MAX_GENERATION_BYTES);
    },
    async create(name, number, bytes, signal) {
      await testConditions(signal);
      await createKey(`${folderOf(name)}${number}`, bytes, signal);
    },
    remove: (name, number) => removeKey(client, `${folderOf(name)}${number}`, undefined),
  };
}

function conditionsIgnored(): HoldfastError {
  return new HoldfastError('PermissionDenied', 'the server ignores conditions, so slots would lose updates', {
    code: 'unsupported',
    hint: 'Set slots = false for this provider.',
  });
}
