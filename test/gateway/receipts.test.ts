import { describe, expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import {
  decodeGrant,
  decodeReceipt,
  encodeReceipt,
  type ReadAck,
  type Receipt,
} from '../../src/receipts/records/records.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { noise } from '../helpers/vault.ts';
import { requestText, sendRaw } from '../node/harness.ts';
import { ackOf } from '../receipts/world.ts';
import { bearer, startGateway, WRITER } from './harness.ts';
import { grantIn, post, receiptGateway } from './receipt-rig.ts';

const BYTES = noise(200_000, 4);

const TAKEN = { accepted: true };
const refused = (reason: string) => ({ accepted: false, reason });

describe('a read', () => {
  it('is acknowledged with what came, whole or a range, and booked so', async () => {
    const { put, read, post: send, records, counted } = await receiptGateway();
    const manifest = await put(BYTES, { name: 'dir/object' });
    const whole = await read(`/m/${manifest}`);
    const part = await read('/n/dir/object', { range: 'bytes=100-299' });
    expect([whole.grant.length, part.grant.length, part.body.length]).toEqual([200_000, 200, 200]);
    expect(await send(ackOf(whole.grant), ackOf(part.grant, 150))).toEqual({
      accepted: 2,
      results: [TAKEN, TAKEN],
    });
    const booked = records() as ReadAck[];
    expect(booked.map(({ bytes, length, allowed }) => [bytes, length, allowed])).toEqual([
      [200_000, 200_000, true],
      [150, 200, true],
    ]);
    expect(booked.every(({ sig }) => sig !== undefined)).toBe(true);
    expect(await counted('receipts_total{kind="signed"}')).toBe(2);
  });

  it('of an object without bytes, as a blob or as a module has a grant too; HEAD and 304 have none', async () => {
    const { put, url } = await receiptGateway();
    const manifest = await put(BYTES);
    await put(new Uint8Array(0), { name: 'empty' });
    const grantOf = async (target: string, init: RequestInit = {}) => {
      const answer = await fetch(`${url}${target}`, init);
      await answer.arrayBuffer();
      return grantIn(answer)?.length;
    };
    expect(await grantOf('/n/empty')).toBe(0);
    expect(await grantOf(`/blob/${manifest}`)).toBe(200_000);
    expect(await grantOf(`/wasm/${manifest}`)).toBe(200_000);
    expect(await grantOf(`/m/${manifest}`, { method: 'HEAD' })).toBeUndefined();
    expect(await grantOf(`/m/${manifest}`, { headers: { 'if-none-match': '*' } })).toBeUndefined();
    expect(await grantOf(`/m/${manifest}`, { headers: { range: 'bytes=9000000-' } })).toBeUndefined();
    expect(await grantOf(`/o/${manifest}`)).toBeUndefined();
  });

  it('that nobody acknowledges is written down unsigned after a while, and not acknowledged after that', async () => {
    const { put, read, post: send, clock, records } = await receiptGateway();
    const { grant } = await read(`/m/${await put(BYTES)}`);
    await clock.advance(59_000);
    expect(records()).toEqual([]);
    await clock.advance(2_000);
    expect(records()).toMatchObject([{ bytes: 200_000, allowed: true }]);
    expect((records()[0] as ReadAck).sig).toBeUndefined();
    expect((await send(ackOf(grant))).results).toEqual([refused('duplicate')]);
  });

  it('that is one too many to be waited for has the oldest written down unsigned', async () => {
    const { put, read, post: send, records } = await receiptGateway({ maxOpen: 2 });
    const target = `/m/${await put(BYTES)}`;
    const reads = [await read(target), await read(target), await read(target)];
    await expect.poll(() => records().length).toBe(1);
    const { results } = await send(...reads.map(({ grant }) => ackOf(grant)));
    expect(results).toEqual([refused('duplicate'), TAKEN, TAKEN]);
  });

  it('that is open at the end of the gateway is written down unsigned', async () => {
    const { put, read, gateway, receipts, records, desk } = await receiptGateway();
    await read(`/m/${await put(BYTES)}`);
    await gateway.close();
    await receipts.close();
    await desk.close();
    expect(records()).toMatchObject([{ bytes: 200_000 }]);
  });

  it('is for the domain that Host names, if it is one of ours', async () => {
    const { put, port } = await receiptGateway({}, { allowedHosts: ['files.example.org', 'evil.example'] });
    const manifest = await put(BYTES);
    const domainOf = async (host: string) => {
      const answer = await sendRaw(port, requestText('GET', `/m/${manifest}`, { Host: host }));
      return decodeGrant(Buffer.from(`${answer.headers['holdfast-read']}`, 'base64url')).domain;
    };
    expect(await domainOf('Files.Example.org:8080')).toBe('files.example.org');
    expect(await domainOf('evil.example')).toBe('other.example');
    expect(await domainOf('127.0.0.1')).toBe('other.example');
  });
});

describe('an acknowledgement', () => {
  it('of another gateway, of a changed grant, of too many bytes or of no record is refused with its reason', async () => {
    const here = await receiptGateway();
    const there = await receiptGateway({}, { over: here.vault }, new Uint8Array(32).fill(8));
    const manifest = await here.put(BYTES);
    const { grant } = await here.read(`/m/${manifest}`);
    const foreign = (await there.read(`/m/${manifest}`)).grant;
    const changed = { ...grant, provider: 'mine' };
    const spoilt = { ...(decodeReceipt(ackOf(grant)) as ReadAck), bytes: 7 };
    const { results } = await here.post(
      ackOf(foreign),
      ackOf(changed),
      ackOf({ ...grant, length: grant.length + 1 }),
      encodeReceipt(spoilt),
      encodeReceipt({ kind: 'denials', gateway: grant.gateway, reason: 'x', reads: 1, from: 1, to: 1 }),
      ackOf(grant),
      ackOf(grant),
      Uint8Array.of(0xa1, 0x61),
    );
    expect(results.map(({ accepted, reason }) => reason ?? accepted)).toEqual([
      ...['foreign', 'forged', 'forged', 'signature', 'malformed', true, 'duplicate', 'malformed'],
    ]);
    expect(await here.counted('receipts_rejected_total{reason="forged"}')).toBe(2);
    expect((await there.post(ackOf(foreign))).results).toEqual([TAKEN]);
  });

  it('says no more than was sent of a read that broke off', async () => {
    const { put, url, post: send } = await receiptGateway();
    const large = noise(6_000_000, 6);
    const manifest = await put(large);
    const stop = new AbortController();
    const answer = await fetch(`${url}/m/${manifest}`, { signal: stop.signal });
    const grant = grantIn(answer)!;
    const reader = answer.body!.getReader();
    const first = (await reader.read()).value!;
    const early = await send(ackOf(grant, large.length));
    expect(early.results).toEqual([refused('forged')]);
    stop.abort();
    await reader.closed.catch(() => undefined);
    expect((await send(ackOf(grant, first.length))).results).toEqual([TAKEN]);
  });

  it('from the future, or later than its hour lasts, is refused', async () => {
    const { put, read, post: send, clock } = await receiptGateway({ ackMs: 9_000_000 });
    const { grant } = await read(`/m/${await put(BYTES)}`);
    expect((await send(ackOf(grant, 1, clock.now() + 121_000))).results).toEqual([refused('future')]);
    clock.jump += 3_600_000 + 5 * 60_000;
    expect((await send(ackOf(grant))).results).toEqual([refused('stale')]);
  });

  it('is no longer than a body takes, and has a type', async () => {
    const { put, read, url } = await receiptGateway();
    const { grant } = await read(`/m/${await put(BYTES)}`);
    const ack = ackOf(grant);
    const many = await post(url, Buffer.concat(Array.from({ length: 257 }, () => ack)));
    expect(many.status).toBe(413);
    const tooLong = await post(url, Buffer.concat(Array.from({ length: 10_000 }, () => ack)));
    expect(tooLong.status).toBe(413);
    expect((await post(url, Buffer.from(ack), { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await post(url, Buffer.alloc(0))).status).toBe(200);
  });

  it('may be tried again where the disk was full, and the read went on meanwhile', async () => {
    const { put, read, post: send, files, records, clock, counted } = await receiptGateway();
    const target = `/m/${await put(BYTES)}`;
    const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    files.fault = () => full;
    const { grant, body } = await read(target);
    expect(body.length).toBe(200_000);
    expect((await send(ackOf(grant))).results).toEqual([refused('unwritten')]);
    const forgotten = await read(target);
    await clock.advance(61_000);
    files.fault = undefined;
    await clock.advance(11_000);
    expect(records()).toHaveLength(2);
    expect((await send(ackOf(forgotten.grant))).results).toEqual([refused('duplicate')]);
    expect(await counted('receipts_lost_total')).toBe(0);
  });

  it('that cannot be written down has the log say why', async () => {
    const told: unknown[] = [];
    const log = { event: (...event: unknown[]) => void told.push(event) };
    const { put, read, post: send, clock } = await receiptGateway({ log });
    const target = `/m/${await put(BYTES)}`;
    const right = clock.jump;
    clock.jump += 24 * 3_600_000;
    expect((await send(ackOf((await read(target)).grant))).results).toEqual([TAKEN]);
    clock.jump = right;
    expect((await send(ackOf((await read(target)).grant))).results).toEqual([refused('unwritten')]);
    expect(told).toEqual([
      ['warn', 'receipts_unwritten', expect.objectContaining({ tries: 1, code: 'receipts_clock' })],
    ]);
  });

  it('of a read that could not be written down and was given up is refused', async () => {
    const { put, read, post: send, files, counted } = await receiptGateway({ maxOpen: 1 });
    const target = `/m/${await put(BYTES)}`;
    files.fault = () => new Error('no disk');
    const { grant } = await read(target);
    await read(target);
    await expect.poll(() => counted('receipts_lost_total')).toBeGreaterThan(0);
    files.fault = undefined;
    expect((await send(ackOf(grant))).results).toEqual([refused('overloaded')]);
  });

  it('cannot be taken where no receipts are kept', async () => {
    const { url } = await startGateway();
    expect((await post(url, Buffer.alloc(0))).status).toBe(404);
    const { headers } = await fetch(`${url}/healthz`);
    expect(headers.get('holdfast-read')).toBeNull();
  });
});

it('who is credited is the same for a client in an hour, whatever it says', async () => {
  const { put, read, clock } = await receiptGateway();
  const target = `/m/${await put(BYTES)}`;
  const providerOf = async (headers: Record<string, string>) => (await read(target, headers)).grant.provider;
  const first = await providerOf({});
  for (let i = 0; i < 8; i++)
    expect(await providerOf({ 'x-reservation-key': `${i}`, 'x-corr-id': `${i}` })).toBe(first);
  const later = new Set<string>();
  for (let i = 0; i < 8; i++) {
    clock.jump += 3_600_000;
    later.add(await providerOf({}));
  }
  expect(later.size).toBeGreaterThan(1);
});

describe('a denied read', () => {
  const denials = (records: readonly Receipt[]) =>
    records.map((record) =>
      record.kind === 'read' ? [record.allowed, record.reason, record.bytes] : record,
    );

  it('leaves a receipt with its reason: without a token, without the scope, without the key', async () => {
    const { put, url, records, counted } = await receiptGateway({}, { anonymous: [] });
    const manifest = await put(BYTES, { name: 'object' });
    const statusOf = async (target: string, init: RequestInit = {}) =>
      (await fetch(url + target, init)).status;
    expect(await statusOf(`/m/${manifest}`)).toBe(401);
    expect(await statusOf('/n/object', { headers: bearer(WRITER) })).toBe(403);
    expect(await statusOf(`/m/${manifest}`, { method: 'HEAD' })).toBe(401);
    expect(await statusOf('/storage/status')).toBe(401);
    await expect
      .poll(() => denials(records()))
      .toEqual([
        [false, 'unauthorized', 0],
        [false, 'forbidden', 0],
      ]);
    const [byManifest, byName] = records() as ReadAck[];
    expect(addressOf(byManifest!.manifest)).toBe(manifest);
    expect(byName!.manifest).toEqual(new Uint8Array(32));
    expect(await counted('receipts_total{kind="denied"}')).toBe(2);
  });

  it('of a sealed gateway leaves one too', async () => {
    const { put, url, records } = await receiptGateway({}, { sealed: true });
    expect((await fetch(`${url}/m/${await put(BYTES)}`)).status).toBe(403);
    await expect.poll(() => denials(records())).toEqual([[false, 'sealed', 0]]);
  });

  it('of too many of a client, or of a path, leaves one and says when to come again', async () => {
    const limits = { maxPathRps: 2, maxClientRps: 4 };
    const { put, url, records, metric } = await receiptGateway({}, { limits, clock: new FakeClock() });
    const [one, other] = [await put(BYTES), await put(noise(1_000, 7))];
    const statusOf = async (manifest: string) => (await fetch(`${url}/m/${manifest}`)).status;
    const statuses: number[] = [];
    for (const manifest of [one, one, one, other, other]) statuses.push(await statusOf(manifest));
    expect(statuses).toEqual([200, 200, 429, 200, 429]);
    await expect
      .poll(() => denials(records()))
      .toEqual([
        [false, 'path_rps', 0],
        [false, 'client_rps', 0],
      ]);
    expect(await metric('read_denied_total{reason="path_rps"}')).toBe(1);
  });
});
