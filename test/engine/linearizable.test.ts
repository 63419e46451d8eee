import { describe, expect, it } from 'vitest';
import { judge, type Operation } from '../../bench/linearizable.ts';

const op = (call: number, ended: number, what: Operation['what'], register = 'r'): Operation => ({
  register,
  call,
  ended,
  what,
});
const write = (value: string | null) => ({ kind: 'write', value }) as const;
const read = (saw: string | null) => ({ kind: 'read', saw }) as const;
const cas = (expected: string | null, value: string | null, done?: boolean) =>
  ({ kind: 'cas', expected, value, done }) as const;
const NEVER = Number.POSITIVE_INFINITY;
const anomalies = (...history: Operation[]): readonly string[] => judge(history).anomalies;

describe('the checker of histories', () => {
  it('explains operations that overlap in any order', () => {
    expect(anomalies(op(0, 9, write('a')), op(1, 2, read(null)), op(3, 4, read('a')))).toEqual([]);
    expect(anomalies(op(0, 5, write('a')), op(1, 6, write('b')), op(7, 8, read('a')))).toEqual([]);
    expect(
      anomalies(op(0, 1, cas(null, 'a', true)), op(2, 3, cas('b', 'c', false)), op(4, 5, read('a'))),
    ).toEqual([]);
  });

  it('finds a read of what was overwritten, a lost update, and a value that went back', () => {
    expect(anomalies(op(0, 1, write('a')), op(2, 3, write('b')), op(4, 5, read('a')))).toEqual(['r']);
    expect(anomalies(op(0, 2, cas(null, 'a', true)), op(1, 3, cas(null, 'b', true)))).toEqual(['r']);
    expect(anomalies(op(0, 9, write('a')), op(1, 2, read('a')), op(3, 4, read(null)))).toEqual(['r']);
    expect(anomalies(op(0, 1, write('a')), op(2, 3, read('never written')))).toEqual(['r']);
  });

  it('lets what nobody heard of happen late, or never, but not twice', () => {
    const lost = op(0, NEVER, write('a'));
    expect(anomalies(lost, op(1, 2, read(null)), op(3, 4, read('a')))).toEqual([]);
    expect(anomalies(lost, op(1, 2, read(null)))).toEqual([]);
    expect(anomalies(lost, op(1, 2, read('a')), op(3, 4, write('b')), op(5, 6, read('a')))).toEqual(['r']);
    const unheard = op(0, NEVER, cas(null, 'a'));
    expect(anomalies(unheard, op(1, 2, cas(null, 'b', true)), op(3, 4, read('b')))).toEqual([]);
    expect(anomalies(unheard, op(1, 2, read('a')), op(3, 4, read(null)))).toEqual(['r']);
  });

  it('judges each register by itself', () => {
    const bad = [op(0, 1, write('a')), op(2, 3, read('b'))];
    const good = [op(0, 1, write('a'), 'other'), op(2, 3, read('a'), 'other')];
    expect(judge([...bad, ...good])).toEqual({ operations: 4, anomalies: ['r'], undecided: [] });
  });

  it('decides long histories of many clients', () => {
    const history: Operation[] = [];
    for (let i = 0; i < 3000; i++) {
      history.push(op(i * 2, i * 2 + 7, write(`v${i}`)));
      if (i % 7 === 0) history.push(op(i * 2, NEVER, write(`lost${i}`)));
    }
    expect(judge(history)).toMatchObject({ anomalies: [], undecided: [] });
  });
});
