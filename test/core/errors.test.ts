import { describe, expect, test } from 'vitest';
import { accelerationFrom } from '../../src/core/acceleration.ts';
import { asHoldfastError, ERROR_KINDS, HoldfastError, isHoldfastError } from '../../src/core/errors.ts';

describe('errors', () => {
  test('only what may pass soon is temporary', () => {
    const temporary = ERROR_KINDS.filter((kind) => new HoldfastError(kind, '').status === 'temporary');
    expect(temporary).toEqual(['RateLimited', 'Unavailable', 'Timeout']);
    expect(new HoldfastError('Timeout', '', { status: 'persistent' }).status).toBe('persistent');
  });

  test('say more with every layer and lose nothing', () => {
    const cause = new Error('socket');
    const inner = new HoldfastError('Unavailable', 'no answer', {
      code: 'connection_lost',
      operation: 'store',
      context: { attempt: 1 },
      cause,
    });
    const outer = inner.with({ provider: 'p1', status: 'persistent', hint: 'wait', context: { of: 3 } });
    expect(outer).toMatchObject({ kind: 'Unavailable', message: 'no answer', cause });
    expect(outer.toJSON()).toEqual({
      error: 'Unavailable',
      code: 'connection_lost',
      status: 'persistent',
      message: 'no answer',
      operation: 'store',
      provider: 'p1',
      hint: 'wait',
      context: { attempt: 1, of: 3 },
    });
    expect(inner.provider).toBeUndefined();
  });

  test('as data they have no cause, which may hold anything', () => {
    const error = new HoldfastError('Corrupt', 'x', { cause: new Error('secret') });
    expect(JSON.stringify(error)).not.toContain('secret');
    expect(error.toJSON()).toEqual({ error: 'Corrupt', code: 'Corrupt', status: 'permanent', message: 'x' });
  });

  test('anything thrown becomes one; one that is stays itself', () => {
    const own = new HoldfastError('NotFound', 'x');
    expect(asHoldfastError(own, { provider: 'p' })).toBe(own);
    expect(asHoldfastError(new TypeError('bug'), { provider: 'p' })).toMatchObject({
      kind: 'Unexpected',
      message: 'bug',
      provider: 'p',
    });
    expect(asHoldfastError('text')).toMatchObject({ kind: 'Unexpected', message: 'text' });
    expect(asHoldfastError(AbortSignal.abort().reason)).toMatchObject({ kind: 'Aborted' });
    expect(isHoldfastError(own, 'NotFound')).toBe(true);
    expect(isHoldfastError(own, 'Corrupt')).toBe(false);
    expect(isHoldfastError(new Error('NotFound'))).toBe(false);
  });
});

test('acceleration is on unless it is turned off', () => {
  expect(accelerationFrom({})).toEqual({ native: true, wasm: true });
  expect(accelerationFrom({ HOLDFAST_NATIVE: 'off' })).toEqual({ native: false, wasm: true });
  expect(accelerationFrom({ HOLDFAST_WASM: 'off' })).toEqual({ native: true, wasm: false });
});
