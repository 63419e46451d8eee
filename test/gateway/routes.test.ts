import { beforeAll, describe, expect, it } from 'vitest';
import { putObject } from '../../src/pipeline/put/put.ts';
import { type TestVault, testVault } from '../helpers/vault.ts';
import { requestText, sendRaw } from '../node/harness.ts';
import { startGateway } from './harness.ts';
import {
  BYTES,
  bodyOf,
  headersOf,
  type Letters,
  NAME,
  ROWS,
  type Row,
  spelled,
  targetOf,
} from './route-table.ts';

let vault: TestVault;
let letters: Letters;

beforeAll(async () => {
  vault = await testVault();
  const put = async (bytes: Uint8Array, options: object): Promise<string> =>
    (await putObject(vault.context, bytes, options)).manifest;
  letters = {
    M: await put(BYTES, { name: NAME, contentType: 'image/png' }),
    U: await put(BYTES, { contentType: 'text/html;  x: y' }),
    E: await put(new Uint8Array(0), { name: 'empty' }),
  };
});

const cases = (rows: readonly Row[]) => rows.map((row) => ({ name: row.slice(0, 3).join(' '), row }));

describe('every route, condition and status', () => {
  it.each(cases(ROWS))('$name', async ({ row }) => {
    const [, method, target, headers, status, expected = {}, body] = row;
    const { port } = await startGateway({ over: vault });
    const sent = headersOf(headers, letters);
    const answer = await sendRaw(port, requestText(method, targetOf(target, letters), sent, bodyOf(headers)));
    expect(answer.status).toBe(status);
    for (const [key, value] of Object.entries(expected)) {
      expect([key, answer.headers[key]]).toEqual([key, value && spelled(value, letters)]);
    }
    expect(answer.headers['x-corr-id']).toBeTruthy();
    if (typeof body === 'string') {
      const { error, corr_id } = JSON.parse(answer.body.toString());
      expect([error, corr_id]).toEqual([body, answer.headers['x-corr-id']]);
    } else if (body !== undefined) {
      expect(answer.body.equals(BYTES.subarray(...body))).toBe(true);
    }
  });

  it.each(cases(ROWS.filter(([, method, target]) => method === 'GET' && target !== '/metrics')))(
    'HEAD is GET without the body: $name',
    async ({ row: [, , target, headers] }) => {
      const { port } = await startGateway({ over: vault });
      const { range: _, ...rest } = headers;
      const sent = headersOf(rest, letters);
      const id = { 'x-corr-id': 'same' };
      const get = await sendRaw(port, requestText('GET', targetOf(target, letters), { ...sent, ...id }));
      const head = await sendRaw(port, requestText('HEAD', targetOf(target, letters), { ...sent, ...id }));
      const { date: _a, ...ofGet } = get.headers;
      const { date: _b, ...ofHead } = head.headers;
      if (target !== '/rpc') expect([head.status, ofHead]).toEqual([get.status, ofGet]);
      expect(head.body.length).toBe(0);
    },
  );
});
