import { describe, expect, it } from 'vitest';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';

const policy = { minTolerates: 1, replicaBelowBytes: 4096 };

async function* streamed(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.slice(at, at + 1000);
}

describe('with two providers, over which no code can spread its shards', () => {
  it.each([0, 3, 4096])(
    'an object of %d bytes is kept as copies that survive one of them',
    async (length) => {
      const { context, gone } = await testVault({ providers: 3, policy });
      gone.add('p3');
      for (const [name, input] of [
        ['known', noise(length, 1)],
        ['streamed', streamed(noise(length, 1))],
      ] as const) {
        const put = await putObject(context, input, { name });
        expect(put.certificate).toMatchObject({ providers: 2, tolerates: 1 });
      }
      for (const lost of ['p1', 'p2']) {
        gone.add(lost);
        for (const name of ['known', 'streamed'])
          expect(await readAll(await getObject(context, name))).toEqual(noise(length, 1));
        gone.delete(lost);
      }
    },
  );

  it('a larger one is refused before it is stored, whether or not its length is known', async () => {
    const { context, gone, providers } = await testVault({ providers: 3, policy });
    gone.add('p3');
    for (const input of [noise(4097, 1), streamed(noise(3_000_000, 1))])
      await expect(putObject(context, input)).rejects.toMatchObject({ code: 'certificate_shortfall' });
    const left: string[] = [];
    for (const { adapter } of providers) for await (const { address } of adapter.list()) left.push(address);
    expect(left).toEqual([]);
  });

  it('copies are as many as a stricter promise needs', async () => {
    const { context } = await testVault({ providers: 5, policy });
    const { certificate } = await putObject(context, noise(3, 1), { minTolerates: 4 });
    expect(certificate).toMatchObject({ providers: 5, tolerates: 4 });
    await expect(putObject(context, noise(3, 1), { minTolerates: 5 })).rejects.toMatchObject({
      code: 'certificate_shortfall',
    });
  });
});
