import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/clock.ts';
import { secureRandom } from '../../src/core/random.ts';
import { createReceiptReader } from '../../src/receipts/reader.ts';
import { createReceiptFetch, type ReceiptFetchParts } from '../../src/receipts/receipt-fetch.ts';
import {
  decodeReceipt,
  encodeGrant,
  type ReadAck,
  type ReadGrant,
} from '../../src/receipts/records/records.ts';
import { type AckOutcome, openReceiptFetch } from '../../src/receipts.ts';
import { bearer, READER } from '../gateway/harness.ts';
import { receiptGateway } from '../gateway/receipt-rig.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { noise } from '../helpers/vault.ts';
import { ed25519 } from './world.ts';

const BYTES = noise(200_000, 5);

const GRANT: ReadGrant = {
  ...{ kind: 'grant', provider: 'p1', domain: '', issued: 1, length: 1 },
  ...{ gateway: new Uint8Array(32), manifest: new Uint8Array(32), readId: new Uint8Array(32) },
  ...{ pathHash: new Uint8Array(32), clientHash: new Uint8Array(32) },
};

function recorded(parts: Partial<ReceiptFetchParts> = {}) {
  const outcomes: AckOutcome[] = [];
  const reader = createReceiptReader({ ed25519, clock: systemClock, random: secureRandom });
  const read = createReceiptFetch({
    ...{ reader, fetch, clock: systemClock, onAck: (outcome: AckOutcome) => outcomes.push(outcome) },
    ...parts,
  });
  return { read, outcomes };
}

describe('a fetch with receipts', () => {
  it('acknowledges what it read, many together, and gives the bytes as they are', async () => {
    const { put, url, records, counted } = await receiptGateway();
    await put(BYTES, { name: 'object' });
    const read = await openReceiptFetch();
    const whole = await read(`${url}/n/object`);
    expect([whole.status, whole.url, whole.headers.get('content-length')]).toEqual([
      ...[200, `${url}/n/object`, '200000'],
    ]);
    expect(Buffer.from(await whole.arrayBuffer()).equals(BYTES)).toBe(true);
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) =>
        (await read(`${url}/n/object`, { headers: { range: `bytes=0-${i}` } })).arrayBuffer(),
      ),
    );
    await read.settled();
    const booked = records() as ReadAck[];
    expect(booked.map(({ bytes }) => bytes).sort((a, b) => a - b)).toEqual([
      ...Array.from({ length: 20 }, (_, i) => i + 1),
      200_000,
    ]);
    expect(booked.every(({ sig }) => sig !== undefined)).toBe(true);
    expect(await counted('receipts_total{kind="signed"}')).toBe(21);
  });

  it('acknowledges a read that was given up with what came', async () => {
    const { put, url, records } = await receiptGateway();
    const manifest = await put(noise(6_000_000, 6));
    const { read, outcomes } = recorded();
    const answer = await read(`${url}/m/${manifest}`);
    const reader = answer.body!.getReader();
    const { length } = (await reader.read()).value!;
    await reader.cancel();
    await read.settled();
    expect(outcomes).toEqual([{ url: `${url}/m/${manifest}`, bytes: length, accepted: true }]);
    expect(records()).toMatchObject([{ bytes: length, length: 6_000_000 }]);
  });

  it('shows the token that it reads with', async () => {
    const { put, url, records } = await receiptGateway({}, { anonymous: [] });
    await put(BYTES, { name: 'object' });
    const { read, outcomes } = recorded();
    await (await read(`${url}/n/object`, { headers: bearer(READER) })).arrayBuffer();
    await read.settled();
    expect(outcomes).toMatchObject([{ accepted: true }]);
    expect(records()).toHaveLength(1);
  });

  it('acknowledges an answer that does not say whence it is to whom it asked', async () => {
    const { put, url, records } = await receiptGateway();
    await put(BYTES, { name: 'object' });
    const { read, outcomes } = recorded({
      // As a program does that looks into answers, or keeps them.
      fetch: async (input, init) => {
        const answer = await fetch(input, init);
        return new Response(answer.body, { status: answer.status, headers: answer.headers });
      },
    });
    const bytes = await (await read(`${url}/n/object`)).arrayBuffer();
    expect(bytes.byteLength).toBe(BYTES.length);
    await read.settled();
    expect(outcomes).toEqual([{ url: `${url}/n/object`, bytes: BYTES.length, accepted: true }]);
    expect(records()).toHaveLength(1);
  });

  it('holds nothing back for more gateways than it keeps apart', async () => {
    const grant = Buffer.from(encodeGrant(GRANT)).toString('base64url');
    const { read, outcomes } = recorded({
      clock: new FakeClock(),
      fetch: async (_, init) => {
        if (init?.method === 'POST') return new Promise<Response>(() => undefined);
        return new Response('x', { headers: { 'holdfast-read': grant } });
      },
    });
    for (let i = 0; i < 70; i++) await (await read(`http://gateway-${i}.example/`)).text();
    expect(outcomes.map(({ url, reason }) => [url, reason])).toEqual(
      Array.from({ length: 6 }, (_, i) => [`http://gateway-${64 + i}.example/`, 'unsent']),
    );
  });

  it('shows no token to another origin, to which it was led', async () => {
    const { put, url } = await receiptGateway();
    await put(BYTES, { name: 'object' });
    const shown: (string | null)[] = [];
    const { read } = recorded({
      fetch: async (input, init) => {
        if (init?.method === 'POST') shown.push(new Headers(init.headers).get('authorization'));
        return fetch(String(input).replace('http://here.example', url), init);
      },
    });
    await (await read('http://here.example/n/object', { headers: bearer(READER) })).arrayBuffer();
    await read.settled();
    expect(shown).toEqual([null]);
  });

  it('tries again where the disk was full or the answer was lost, and takes a duplicate for taken then', async () => {
    const { put, url, files, records } = await receiptGateway();
    await put(BYTES, { name: 'object' });
    const clock = new FakeClock({ auto: true });
    let lost = 0;
    const { read, outcomes } = recorded({
      clock,
      fetch: async (input, init) => {
        const answer = await fetch(input, init);
        files.fault = undefined;
        if (init?.method === 'POST' && (await answer.clone().text()).includes('"accepted":1') && lost++ === 0)
          throw new TypeError('the answer was lost');
        return answer;
      },
    });
    const answer = await read(`${url}/n/object`);
    await answer.arrayBuffer();
    files.fault = () => Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    await read.settled();
    expect(outcomes).toMatchObject([{ accepted: true }]);
    expect(records()).toHaveLength(1);
    expect(clock.sleeps).toEqual([1_000, 4_000]);
  });

  it('reads on where the gateway takes none, keeps none, or gives a grant that is none', async () => {
    const { put, url } = await receiptGateway();
    await put(BYTES, { name: 'object' });
    const clock = new FakeClock({ auto: true });
    const deaf = recorded({
      clock,
      fetch: async (input, init) => {
        if (init?.method === 'POST') throw new TypeError('nobody there');
        return fetch(input, init);
      },
    });
    expect((await (await deaf.read(`${url}/n/object`)).arrayBuffer()).byteLength).toBe(200_000);
    await deaf.read.settled();
    expect(deaf.outcomes).toMatchObject([{ accepted: false, reason: 'unsent' }]);
    const odd = recorded({
      fetch: async () => new Response('abc', { headers: { 'holdfast-read': 'bm9uZQ' } }),
    });
    expect(await (await odd.read('http://127.0.0.1/')).text()).toBe('abc');
    await odd.read.settled();
    expect(odd.outcomes).toEqual([]);
    expect((await deaf.read(`${url}/n/object`, { method: 'HEAD' })).status).toBe(200);
  });

  it('shows another key to whoever gives out grants in the name of another gateway', async () => {
    const { put, url, records } = await receiptGateway();
    await put(BYTES, { name: 'object' });
    const stolen: ReadAck[] = [];
    const { read } = recorded({
      fetch: async (input, init) => {
        const evil = String(input).startsWith('http://evil.example/');
        if (!evil) return fetch(input, init);
        if (init?.method === 'POST') stolen.push(decodeReceipt(Buffer.from(init.body as Buffer)) as ReadAck);
        // A grant of the same gateway and hour, which it got itself.
        const { headers } = await fetch(`${url}/n/object`);
        return new Response('abc', { headers: { 'holdfast-read': headers.get('holdfast-read')! } });
      },
    });
    for (const origin of [url, 'http://evil.example']) await (await read(`${origin}/n/object`)).arrayBuffer();
    await read.settled();
    const [own] = records() as ReadAck[];
    expect(toHex(stolen[0]!.gateway)).toBe(toHex(own!.gateway));
    expect(toHex(stolen[0]!.pk!)).not.toBe(toHex(own!.pk!));
  });

  it('says no more than what was granted, whatever a cache in between adds', async () => {
    const { put, url, records } = await receiptGateway();
    await put(BYTES, { name: 'object' });
    const { read, outcomes } = recorded({
      fetch: async (input, init) => {
        const answer = await fetch(input, init);
        if (init?.method === 'POST') return answer;
        const more = new Response(Buffer.concat([Buffer.from(await answer.arrayBuffer()), BYTES]), answer);
        return Object.defineProperty(more, 'url', { value: answer.url });
      },
    });
    expect((await (await read(`${url}/n/object`)).arrayBuffer()).byteLength).toBe(400_000);
    await read.settled();
    expect(outcomes).toMatchObject([{ bytes: 200_000, accepted: true }]);
    expect(records()).toMatchObject([{ bytes: 200_000 }]);
  });
});
