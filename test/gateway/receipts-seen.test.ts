import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { ProviderOverrides } from '../../src/gateway/credit.ts';
import { encodeFinal } from '../../src/receipts/settlement/final.ts';
import { verifyReceiptProof } from '../../src/receipts.ts';
import { noise } from '../helpers/vault.ts';
import { ackOf, FOLDER, grantOf } from '../receipts/world.ts';
import { ADMIN, bearer, READER, startGateway } from './harness.ts';
import { receiptGateway } from './receipt-rig.ts';

const BYTES = noise(200_000, 4);

describe('what an operator sees of receipts', () => {
  const admin = bearer(ADMIN);

  async function call({ url }: { readonly url: string }, params: object) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'gateway.reads_since', params });
    const headers = { ...admin, 'content-type': 'application/json' };
    return (await (await fetch(`${url}/rpc`, { method: 'POST', headers, body })).json()) as {
      result: Record<string, unknown>;
      error: { code: number };
    };
  }

  it('is who read how much since an hour, by provider, manifest and domain', async () => {
    const overrides = new ProviderOverrides();
    const rig = await receiptGateway({}, { overrides });
    const { put, read, post: send, clock } = rig;
    const [one, other] = [await put(BYTES), await put(noise(1_000, 8))];
    for (const manifest of [one, other]) overrides.set(manifest, 'mirror');
    await send(ackOf((await read(`/m/${one}`)).grant, 150_000));
    await read(`/m/${other}`);
    await clock.advance(61_000);
    const epoch = Math.floor(clock.now() / 3_600_000);
    await expect.poll(async () => (await call(rig, { epoch })).result.reads).toBe(2);
    const { result } = await call(rig, { epoch });
    expect(result).toMatchObject({ reads: 2, signed: 1, bytes: 151_000, signedBytes: 150_000, next: null });
    expect(result.manifests).toEqual([
      { name: one, reads: 1, signed: 1, bytes: 150_000, signedBytes: 150_000 },
      { name: other, reads: 1, signed: 0, bytes: 1_000, signedBytes: 0 },
    ]);
    expect(result.providers).toEqual([
      { name: 'mirror', reads: 2, signed: 1, bytes: 151_000, signedBytes: 150_000 },
    ]);
    expect(result.domains).toMatchObject([{ name: 'other.example', reads: 2 }]);
    expect((await call(rig, { epoch: epoch + 1 })).result).toMatchObject({ reads: 0, next: null });
    for (const params of [{ epoch: -1 }, { epoch: 1.5 }, {}, { epoch, file: 'a' }, { epoch, more: 1 }])
      expect((await call(rig, params)).error.code).toBe(-32_602);
  });

  it('comes page by page, and the pages add up', async () => {
    const rig = await receiptGateway();
    const { desk, clock } = rig;
    for (let i = 0; i < 20; i++)
      await Promise.all(Array.from({ length: 1_024 }, () => desk.unsigned(grantOf(desk), 10)));
    let at: unknown = { epoch: Math.floor(clock.now() / 3_600_000) };
    const reads: unknown[] = [];
    while (at !== null) {
      const { result } = await call(rig, at as object);
      reads.push(result.reads);
      at = result.next;
    }
    expect(reads).toEqual([4 * 4_096, 4_096]);
  });

  it('is how the hours stand, and a proof that a receipt is in one', async () => {
    const { put, read, post: send, url, clock, desk, files } = await receiptGateway();
    const { grant } = await read(`/m/${await put(BYTES)}`);
    await send(ackOf(grant));
    const epoch = Math.floor(clock.now() / 3_600_000);
    const get = (path: string) => fetch(`${url}/storage/receipts${path}`, { headers: admin });
    const list = async (query = '') => ((await (await get(query)).json()) as { epochs: object[] }).epochs;
    const id = toHex(grant.readId);
    expect(await list()).toEqual([{ epoch, fromMs: epoch * 3_600_000, state: 'open' }]);
    expect((await get(`/proof?epoch=${epoch}&id=${id}`)).status).toBe(404);
    clock.jump += 3_600_000 + 10 * 60_000;
    await desk.closeDue();
    expect(await list()).toMatchObject([{ epoch, state: 'closed', root: { receipts: 1, bytes: 200_000 } }]);
    expect(await list(`?before=${epoch}`)).toEqual([]);
    const answer = await get(`/proof?epoch=${epoch}&id=${id}`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/cbor']);
    const proof = new Uint8Array(await answer.arrayBuffer());
    const verdict = await verifyReceiptProof(proof, { gateway: desk.gateway });
    expect([verdict.holds, verdict.receipt.kind]).toEqual([true, 'read']);
    expect((await get(`/proof?epoch=${epoch}&id=${id.replace(/./g, '0')}`)).status).toBe(404);
    const bytes = encodeFinal({
      ...{ gateway: desk.gateway, epoch, digest: new Uint8Array(32), anchor: 'local', where: 'leaf 0' },
      ...{ depth: 1, at: clock.now() },
    });
    files.put(`${FOLDER}/read/${epoch}.final`, bytes);
    expect(await list()).toMatchObject([{ state: 'final', final: { anchor: 'local', where: 'leaf 0' } }]);
    files.put(`${FOLDER}/read/${epoch}.final`, bytes.subarray(1));
    expect(await list()).toMatchObject([{ state: 'damaged' }]);
  });

  it('is nothing where no receipts are kept, and for nobody without the scope', async () => {
    const { url } = await startGateway();
    expect((await fetch(`${url}/storage/receipts`, { headers: admin })).status).toBe(404);
    expect((await fetch(`${url}/storage/receipts`, { headers: bearer(READER) })).status).toBe(403);
    expect((await call({ url }, { epoch: 1 })).error.code).toBe(-32_603);
  });
});
