import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { abortable, abortError, allOrFirstError, linkedAbort, throwIfAborted } from '../../src/core/abort.ts';
import { systemClock, withDeadline } from '../../src/core/clock.ts';
import { HoldfastError } from '../../src/core/errors.ts';

const ABORTED = { kind: 'Aborted' };
const never = new Promise<never>(() => {});
const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('abort', () => {
  test('a signal that fired becomes a typed error; a deadline keeps its own', () => {
    throwIfAborted(undefined);
    throwIfAborted(new AbortController().signal);
    expect(() => throwIfAborted(AbortSignal.abort(), 'put')).toThrowError(
      expect.objectContaining({ kind: 'Aborted', operation: 'put' }),
    );
    const late = new HoldfastError('Timeout', 'late');
    expect(abortError(AbortSignal.abort(late))).toBe(late);
  });

  test('abortable settles with its promise or its signal, and lets go of the signal', async () => {
    const controller = new AbortController();
    expect(await abortable(Promise.resolve(1), controller.signal)).toBe(1);
    await expect(abortable(Promise.reject(new Error('x')), controller.signal)).rejects.toThrow('x');
    expect(listeners(controller.signal)).toBe(0);
    const waiting = abortable(never, controller.signal);
    controller.abort();
    await expect(waiting).rejects.toMatchObject(ABORTED);
    expect(listeners(controller.signal)).toBe(0);
    await expect(abortable(Promise.reject(new Error('unseen')), AbortSignal.abort())).rejects.toMatchObject(
      ABORTED,
    );
  });

  test('a deadline ends work that ignores its signal', async () => {
    const outer = new AbortController();
    await expect(withDeadline(systemClock, 5, 'probe', () => never, outer.signal)).rejects.toMatchObject({
      kind: 'Timeout',
      status: 'temporary',
      operation: 'probe',
    });
    expect(listeners(outer.signal)).toBe(0);
  });

  test('a deadline passes an outer abort on, and does not start when it is too late', async () => {
    const outer = new AbortController();
    let inner: AbortSignal | undefined;
    const work = withDeadline(
      systemClock,
      60_000,
      'probe',
      (signal) => {
        inner = signal;
        return never;
      },
      outer.signal,
    );
    outer.abort();
    await expect(work).rejects.toMatchObject(ABORTED);
    expect(inner?.aborted).toBe(true);
    let started = false;
    const late = withDeadline(
      systemClock,
      1000,
      'probe',
      async () => {
        started = true;
      },
      outer.signal,
    );
    await expect(late).rejects.toMatchObject(ABORTED);
    expect(started).toBe(false);
  });

  test('a linked signal fires with the outer one; the outer one never with it', () => {
    const outer = new AbortController();
    const one = linkedAbort(outer.signal, 'get');
    one.abort(new HoldfastError('Unavailable', 'gone'));
    expect(one.signal.aborted).toBe(true);
    expect(outer.signal.aborted).toBe(false);
    const other = linkedAbort(outer.signal, 'get');
    const disposed = linkedAbort(outer.signal, 'get');
    disposed.dispose();
    outer.abort();
    expect(other.signal.reason).toMatchObject(ABORTED);
    expect(disposed.signal.aborted).toBe(false);
    expect(linkedAbort(outer.signal, 'get').signal.aborted).toBe(true);
  });

  test('all work has settled before a failure is reported', async () => {
    let done = false;
    const slow = new Promise<void>((resolve) =>
      setImmediate(() => {
        done = true;
        resolve();
      }),
    );
    await expect(allOrFirstError([slow, Promise.reject(new Error('first'))])).rejects.toThrow('first');
    expect(done).toBe(true);
    expect(await allOrFirstError([Promise.resolve(1), Promise.resolve(2)])).toEqual([1, 2]);
  });

  test('sleep ends with its signal and lets go of it', async () => {
    const controller = new AbortController();
    await systemClock.sleep(0, controller.signal);
    expect(listeners(controller.signal)).toBe(0);
    const sleeping = systemClock.sleep(60_000, controller.signal);
    controller.abort();
    await expect(sleeping).rejects.toMatchObject(ABORTED);
    await expect(systemClock.sleep(0, controller.signal)).rejects.toMatchObject(ABORTED);
  });
});
