import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../../src/core/errors.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { fetchVerified } from '../../../src/providers/guard.ts';
import {
  type Attempt,
  redact,
  withFaults,
  withLayers,
  withLog,
  withMetrics,
} from '../../../src/providers/layers/index.ts';
import { createMemoryAdapter } from '../../../src/providers/memory/driver.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { blake3, deps } from '../conform.ts';

const address = `b3:${'0'.repeat(64)}` as Parameters<BlobAdapter['exists']>[0];
const memory = (): BlobAdapter => createMemoryAdapter({ id: 'm', ...deps });
async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

describe('the metrics layer', () => {
  it('tells time, bytes and outcome of every attempt', async () => {
    const clock = new FakeClock({ auto: true });
    const seen: Attempt[] = [];
    const slow = withFaults(memory(), { clock, seed: 1 }, { latencyMs: 20 });
    const measured = withMetrics(slow, { clock, onAttempt: (attempt) => seen.push(attempt) });
    const { address: stored } = await measured.storeStream(undefined, once(deps.random(100)));
    await measured.fetch(stored);
    await measured.fetchRange(stored, 0, [new Uint8Array(30)]);
    for await (const _ of measured.fetchStream(stored)) void _;
    await measured.fetch(address).catch(() => {});
    expect(seen.map((a) => [a.operation, a.upBytes, a.downBytes, a.error?.kind])).toEqual([
      ['storeStream', 100, 0, undefined],
      ['fetch', 0, 100, undefined],
      ['fetchRange', 0, 30, undefined],
      ['fetchStream', 0, 100, undefined],
      ['fetch', 0, 0, 'NotFound'],
    ]);
    expect(seen.slice(1, 4).map((a) => a.ms)).toEqual([20, 20, 20]);
  });

  it('counts retries one by one', async () => {
    const clock = new FakeClock({ auto: true });
    const seen: Attempt[] = [];
    const lossy = withFaults(memory(), { clock, seed: 1 }, { error: 'Unavailable' });
    const log = (): void => {};
    const layered = withLayers(lossy, {
      ...deps,
      clock,
      log,
      maxConcurrency: 4,
      onAttempt: (a) => seen.push(a),
    });
    await layered.exists(address).catch(() => {});
    expect(seen).toHaveLength(4);
  });
});

describe('the log layer', () => {
  it('writes what failed, without secrets', async () => {
    const lines: unknown[] = [];
    const cause = new HoldfastError(
      'PermissionDenied',
      'denied at https://user:hunter2@host/x?X-Amz-Signature=abcdef',
      {
        context: {
          Authorization: 'AWS4 Credential=AKIA',
          secretKey: 'hunter2',
          nested: [{ token: 'hunter2' }],
          status: 403,
        },
      },
    );
    const inner: BlobAdapter = { ...memory(), exists: () => Promise.reject(cause) };
    const logged = withLog(inner, { clock: new FakeClock(), log: (...line) => lines.push(line) });
    await expect(logged.exists(address)).rejects.toBe(cause);
    expect(lines).toMatchObject([
      ['warn', 'provider_call_failed', { provider: 'm', operation: 'exists', error: 'PermissionDenied' }],
    ]);
    const text = JSON.stringify(lines);
    expect(text).not.toMatch(/hunter2|abcdef|AKIA/);
    expect(text).toContain('403');
  });

  it('takes secrets out of any plain data', () => {
    const redacted = redact({
      a: 'Bearer abcdefghijkl',
      b: 'sftp://me:pw@host',
      c: { 'x-amz-security-token': 'T' },
      d: new Uint8Array(3),
      e: 5,
    });
    expect(redacted).toEqual({
      a: 'Bearer [redacted]',
      b: 'sftp://[redacted]@host',
      c: { 'x-amz-security-token': '[redacted]' },
      d: '[3 bytes]',
      e: 5,
    });
  });
});

describe('the fault layer', () => {
  const faulty = async (plan: Parameters<typeof withFaults>[2], size = 1000) => {
    const inner = memory();
    const bytes = deps.random(size);
    const { address: of } = await inner.storeStream(undefined, once(bytes));
    return {
      inner,
      bytes,
      of,
      adapter: withFaults(inner, { clock: new FakeClock({ auto: true }), seed: 3 }, plan),
    };
  };

  it.each([{ flipBit: 1 }, { truncate: 1 }, { lengthen: 1 }])(
    'damages bytes, which verified reads notice: %o',
    async (plan) => {
      const { adapter, of } = await faulty(plan);
      await expect(fetchVerified(adapter, of, blake3)).rejects.toMatchObject({
        kind: 'HashMismatch',
        provider: 'm',
      });
      adapter.setFaults({});
      expect(await fetchVerified(adapter, of, blake3)).toHaveLength(1000);
    },
  );

  it('damages ranges and streams too', async () => {
    const { adapter, bytes, of } = await faulty({ flipBit: 1 });
    const into = new Uint8Array(1000);
    await adapter.fetchRange(of, 0, [into]);
    expect(into).not.toEqual(bytes);
    adapter.setFaults({ truncate: 1 });
    let size = 0;
    for await (const piece of adapter.fetchStream(of)) size += piece.length;
    expect(size).toBe(500);
  });

  it('never ends a stream if told so, until the reader stops', async () => {
    const { adapter, of } = await faulty({ endless: 1 });
    let size = 0;
    for await (const piece of adapter.fetchStream(of)) {
      size += piece.length;
      if (size > 10_000_000) break;
    }
    expect(size).toBeGreaterThan(10_000_000);
  });

  it('acknowledges and drops, and lies on probes', async () => {
    const { adapter, inner } = await faulty({
      blackHole: 1,
      lieOnProbe: true,
      error: 'Unavailable',
      operations: ['probe'],
    });
    expect(await adapter.probe()).toEqual({ rttMs: 1 });
    adapter.setFaults({ blackHole: 1 });
    expect(await adapter.store(address, [Uint8Array.of(1)])).toEqual({ existed: false });
    expect(await inner.exists(address)).toBe(false);
  });

  it('repeats itself for the same seed', async () => {
    const run = async (seed: number): Promise<string> => {
      const adapter = withFaults(memory(), { clock: new FakeClock({ auto: true }), seed }, { lose: 0.5 });
      let outcomes = '';
      for (let i = 0; i < 64; i++)
        outcomes += await adapter.exists(address).then(
          () => '.',
          () => 'x',
        );
      return outcomes;
    };
    expect(await run(1)).toBe(await run(1));
    expect(await run(1)).not.toBe(await run(2));
    expect((await run(1)).split('x').length).toBeGreaterThan(16);
  });
});

describe('texts that a server chose', () => {
  const secretsIn = '?token=hunter2&x=1 https://u:hunter2@h/?a=?key=hunter2 basic aHVudGVyMg==';

  it('are redacted in time that grows no faster than they do', () => {
    for (const pump of [
      '?token',
      '&key?',
      '?a=',
      '://',
      'a://b@',
      'bearer ',
      '?secretsecret',
      '?'.repeat(20),
    ]) {
      const text = pump.repeat(1_000_000 / pump.length);
      expect(redact(`${secretsIn} ${text}`)).not.toMatch(/hunter2|aHVudGVyMg/);
    }
  });

  it('lose every secret, also behind values and at signs', () => {
    expect(redact('see http://x/?next=https://y?token=T1&b=2')).toBe(
      'see http://x/?next=https://y?token=[redacted]&b=2',
    );
    expect(redact('a://u:p@ss@host/path@x and b://host?sig_key=K')).toBe(
      'a://[redacted]@host/path@x and b://host?sig_key=[redacted]',
    );
    expect(redact('?token=&a=1')).toBe('?token=&a=1');
  });
});
