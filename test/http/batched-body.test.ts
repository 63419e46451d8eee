import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BatchedBody, batchBody } from '../../src/http/batched-body.ts';
import type { Exchange } from '../../src/http/exchange.ts';
import { createSlowWatch } from '../../src/http/slow-peers.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { noise } from '../helpers/vault.ts';

const SIZE = 1000;
const LIMITS = { graceMs: 5_000, minBytesPerSecond: 100 };

class Incoming extends Readable {
  complete = false;
  override _read(): void {}
  /** The last of the body has been parsed. */
  finish(): void {
    this.complete = true;
    this.push(null);
  }
}

interface Receiving {
  readonly body: BatchedBody;
  readonly request: Incoming;
  readonly memory: readonly Uint8Array[];
  readonly exchange: Exchange;
  readonly clock: FakeClock;
}

function receiving(maxBytes = 1_000_000): Receiving {
  const clock = new FakeClock();
  const request = new Incoming();
  const exchange = {
    request,
    slow: createSlowWatch(clock, () => {}),
    bytesIn: 0,
    invite() {},
  } as unknown as Exchange;
  const memory = [new Uint8Array(SIZE), new Uint8Array(SIZE)];
  const body = batchBody(exchange, memory, { maxBytes, clock, allowance: LIMITS });
  return { body, request, memory, exchange, clock };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a body received in batches', () => {
  it('has the bytes that were sent, in full batches but for the last, however they came', async () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 2_700 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(lengths, fc.array(fc.nat(3), { maxLength: 12 }), async (pieces, pauses) => {
        const { body, request, exchange } = receiving();
        const sent = pieces.map((length, i) => Buffer.from(noise(length, i)));
        const sending = (async () => {
          for (const piece of sent) {
            request.push(piece);
            for (let i = pauses.length; i > 0 && i < 3; i--) await turn();
          }
          request.finish();
        })();
        const got: Buffer[] = [];
        for await (const batch of body) {
          for (let i = pauses.shift() ?? 0; i > 0; i--) await turn();
          got.push(Buffer.from(batch));
        }
        await sending;
        expect(Buffer.concat(got).equals(Buffer.concat(sent))).toBe(true);
        expect(got.slice(0, -1).every(({ length }) => length === SIZE)).toBe(true);
        expect(exchange.bytesIn).toBe(Buffer.concat(sent).length);
      }),
      { numRuns: 100 },
    );
  });

  it('makes the sender wait while all memory is full, and leaves alone what is being used', async () => {
    const { body, request } = receiving();
    const sent = Buffer.from(noise(3 * SIZE, 5));
    request.push(sent.subarray(0, 900));
    await turn();
    expect(request.isPaused()).toBe(false);
    request.push(sent.subarray(900, 2100));
    await turn();
    expect(request.isPaused()).toBe(true);
    const first = (await body.next()).value!;
    expect(body.lent).toBe(first);
    request.push(sent.subarray(2100));
    await turn();
    expect(request.isPaused()).toBe(true);
    expect(sent.subarray(0, SIZE).equals(first)).toBe(true);
    const second = Buffer.from((await body.next()).value!);
    expect(request.isPaused()).toBe(false);
    request.finish();
    const third = Buffer.from((await body.next()).value!);
    expect(Buffer.concat([second, third]).equals(sent.subarray(SIZE))).toBe(true);
    expect((await body.next()).done).toBe(true);
    expect(body.lent).toBeUndefined();
  });

  it('over the cap is refused', async () => {
    const { body, request } = receiving(1500);
    request.push(Buffer.alloc(1501));
    await expect(body.next().then(() => body.next())).rejects.toMatchObject({ status: 413 });
  });

  it.each([
    ['by an error', (request: Incoming) => request.destroy(new Error('reset'))],
    ['by its end', (request: Incoming) => request.push(null)],
    ['without a word', (request: Incoming) => request.destroy()],
    [
      'when all of it was parsed and not yet taken',
      (request: Incoming) => {
        request.push(Buffer.alloc(3 * SIZE));
        request.push(Buffer.alloc(SIZE));
        request.complete = true;
        setImmediate(() => request.destroy());
      },
    ],
  ])('cut short %s is a failure and no shorter body', async (_, cut) => {
    const { body, request } = receiving();
    request.push(Buffer.alloc(300));
    await turn();
    cut(request);
    await turn();
    await turn();
    const all = async (): Promise<void> => {
      for await (const _batch of body);
    };
    await expect(all()).rejects.toMatchObject({ status: 400 });
  });

  it('that comes too slowly is given up, and every byte gives it more time', async () => {
    const { body, request, clock } = receiving();
    const step = body.next().then(
      () => 'came',
      (error: { kind: string }) => error.kind,
    );
    for (let i = 0; i < 8; i++) {
      request.push(Buffer.alloc(100));
      await clock.advance(1_000);
    }
    let outcome = 'waiting';
    void step.then((result) => {
      outcome = result;
    });
    await clock.advance(3_000);
    expect(outcome).toBe('waiting');
    await clock.advance(4_000);
    expect(outcome).toBe('Timeout');
  });

  it('that we keep waiting is not slow', async () => {
    const { body, request, clock } = receiving();
    request.push(Buffer.alloc(2 * SIZE));
    await body.next();
    await clock.advance(3_600_000);
    await body.next();
    // 5 s, and 20 for what came.
    await clock.advance(23_000);
    request.push(Buffer.alloc(SIZE));
    await turn();
    expect((await body.next()).done).toBe(false);
    await clock.advance(36_000);
    await expect(body.next()).rejects.toMatchObject({ kind: 'Timeout' });
  });

  it('touches no memory once it was stopped', async () => {
    const { body, request, memory } = receiving();
    const hanging = body.next();
    body.stop();
    await expect(hanging).rejects.toMatchObject({ status: 400 });
    request.push(Buffer.alloc(3 * SIZE, 1));
    request.resume();
    await turn();
    expect(memory.every((buffer) => buffer.every((byte) => byte === 0))).toBe(true);
    await expect(body.next()).rejects.toMatchObject({ status: 400 });
  });
});
