import { createHash } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../../src/core/address.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { fetchVerified } from '../../../src/providers/guard.ts';
import { createS3Adapter } from '../../../src/providers/s3/driver.ts';
import { noise } from '../../helpers/vault.ts';
import { S3_KEYS, type S3Server, s3Place } from '../../servers/accounts.ts';
import { startServer } from '../../servers/servers.ts';
import { blake3, deps } from '../deps.ts';

const MIB = 1024 * 1024;
const PART = 5 * MIB;
const BUCKET = 'sdk-test';
const PREFIX = 'päck s/';
/** The last one goes up in three parts, by either client. */
const BLOBS = [0, 1, 3000, 2 * PART + 1].map((length) => noise(length, length + 7));
const addressFor = (bytes: Uint8Array): BlobAddress => addressOf(blake3.hash(bytes));
const keyOf = (address: BlobAddress): string => `${PREFIX}blobs/${address.slice(3)}`;

const md5 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const partsOf = (bytes: Uint8Array): Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / PART) }, (_, i) => bytes.subarray(i * PART, (i + 1) * PART));

/** The entity tag that S3 states: of the bytes, or of the parts' own sums and how many there were. */
function etagOf(bytes: Uint8Array): string {
  if (bytes.length <= PART) return `"${md5(bytes).toString('hex')}"`;
  const parts = partsOf(bytes);
  return `"${md5(...parts.map((part) => md5(part))).toString('hex')}-${parts.length}"`;
}

for (const name of Object.keys(S3_KEYS) as S3Server[]) {
  const server = await startServer(name);
  describe.skipIf(server === undefined)(`the stock S3 client and ours on ${name}`, () => {
    let sdk: S3Client;
    let ours: BlobAdapter;
    let place: Awaited<ReturnType<typeof s3Place>>;
    beforeAll(async () => {
      place = await s3Place(name, server!, BUCKET);
      ours = createS3Adapter({ id: 's', ...place, prefix: PREFIX, partBytes: PART, ...deps });
      sdk = new S3Client({
        endpoint: place.endpoint,
        region: place.region,
        forcePathStyle: true,
        credentials: S3_KEYS[name],
        maxAttempts: 1,
      });
    });
    afterAll(async () => {
      sdk.destroy();
      await ours.close();
      await server!.stop();
    });
    const listed = async (): Promise<Map<string, number>> => {
      const found = new Map<string, number>();
      let ContinuationToken: string | undefined;
      do {
        const request = { Bucket: BUCKET, Prefix: `${PREFIX}blobs/`, MaxKeys: 2, ContinuationToken };
        const page = await sdk.send(new ListObjectsV2Command(request));
        for (const { Key, Size } of page.Contents ?? []) found.set(Key!, Size!);
        ContinuationToken = page.NextContinuationToken;
      } while (ContinuationToken !== undefined);
      return found;
    };
    const get = async (address: BlobAddress, Range?: string): Promise<Uint8Array> => {
      const request = { Bucket: BUCKET, Key: keyOf(address), ...(Range === undefined ? {} : { Range }) };
      return (await sdk.send(new GetObjectCommand(request))).Body!.transformToByteArray();
    };
    const putInParts = async (Key: string, bytes: Uint8Array): Promise<void> => {
      const to = { Bucket: BUCKET, Key };
      const { UploadId } = await sdk.send(new CreateMultipartUploadCommand(to));
      const Parts = await Promise.all(
        partsOf(bytes).map(async (Body, i) => {
          const part = { PartNumber: i + 1, UploadId, Body };
          const { ETag } = await sdk.send(new UploadPartCommand({ ...to, ...part }));
          return { PartNumber: i + 1, ETag };
        }),
      );
      await sdk.send(new CompleteMultipartUploadCommand({ ...to, UploadId, MultipartUpload: { Parts } }));
    };

    const unfinished = async (): Promise<string[]> => {
      const { Uploads = [] } = await sdk.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
      return Uploads.map(({ Key }) => Key!).sort();
    };

    it('uploads that crashed writers left are aborted once they are old, and nobody else’s', async () => {
      const blob = noise(PART + 1);
      const left = [keyOf(addressFor(BLOBS[2]!)), `${PREFIX}tmp/${'a'.repeat(32)}`];
      const foreign = [`${PREFIX}blobs/other`, `blobs/${'a'.repeat(64)}`];
      for (const Key of [...left, ...foreign])
        await sdk.send(new CreateMultipartUploadCommand({ Bucket: BUCKET, Key }));
      const temps = [`${PREFIX}tmp/${'b'.repeat(32)}`, `${PREFIX}tmp/keep`];
      for (const Key of temps) await sdk.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: 'x' }));
      const isThere = (Key: string) =>
        sdk.send(new HeadObjectCommand({ Bucket: BUCKET, Key })).then(
          () => true,
          () => false,
        );
      const storeWith = async (adapter: BlobAdapter): Promise<void> => {
        await adapter.store(addressFor(blob), [blob]);
        await adapter.delete(addressFor(blob));
        await adapter.close();
      };
      const young = { prefix: PREFIX, partBytes: PART, ...deps };
      await storeWith(createS3Adapter({ id: 's', ...place, ...young }));
      expect(await unfinished()).toEqual([...left, ...foreign].sort());
      // An hour in the future everything is old.
      await storeWith(createS3Adapter({ id: 's', ...place, ...young, staleMs: -3_600_000 }));
      expect(await unfinished()).toEqual(foreign.sort());
      expect(await Promise.all(temps.map(isThere))).toEqual([false, true]);
    });

    it('the stock client lists, heads and reads byte for byte what ours stored', async () => {
      for (const bytes of BLOBS) await ours.store(addressFor(bytes), [bytes]);
      const sizes = await listed();
      expect(sizes.size).toBe(BLOBS.length);
      for (const bytes of BLOBS) {
        const address = addressFor(bytes);
        expect(sizes.get(keyOf(address))).toBe(bytes.length);
        const head = await sdk.send(new HeadObjectCommand({ Bucket: BUCKET, Key: keyOf(address) }));
        expect(head.ContentLength).toBe(bytes.length);
        expect(head.ETag).toBe(etagOf(bytes));
        expect(Buffer.compare(await get(address), bytes)).toBe(0);
        if (bytes.length === 0) continue;
        const from = Math.min(PART - 10, bytes.length - 1);
        const to = Math.min(from + 20, bytes.length) - 1;
        const range = await get(address, `bytes=${from}-${to}`);
        expect(Buffer.compare(range, bytes.subarray(from, to + 1))).toBe(0);
      }
      for (const bytes of BLOBS) await ours.delete(addressFor(bytes));
      expect((await listed()).size).toBe(0);
    });

    it('ours lists, stats and reads byte for byte what the stock client stored, whole and in parts', async () => {
      for (const bytes of BLOBS) {
        const Key = keyOf(addressFor(bytes));
        if (bytes.length > PART) await putInParts(Key, bytes);
        else await sdk.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: bytes }));
      }
      const seen: BlobAddress[] = [];
      for await (const { address } of ours.list()) seen.push(address);
      expect(seen.sort()).toEqual(BLOBS.map(addressFor).sort());
      for (const bytes of BLOBS) {
        const address = addressFor(bytes);
        expect(await ours.stat(address)).toMatchObject({ size: bytes.length });
        const options = { maxBytes: bytes.length };
        expect(Buffer.compare(await fetchVerified(ours, address, blake3, options), bytes)).toBe(0);
        const from = Math.min(PART - 10, Math.max(0, bytes.length - 20));
        const into = new Uint8Array(Math.min(20, bytes.length));
        await ours.fetchRange(address, from, [into]);
        expect(Buffer.compare(into, bytes.subarray(from, from + into.length))).toBe(0);
        // The same length is there: ours sends nothing again.
        expect(await ours.store(address, [bytes])).toEqual({ existed: true });
        await ours.delete(address);
      }
    });
  });
}
