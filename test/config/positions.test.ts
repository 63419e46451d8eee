import { describe, expect, it } from 'vitest';
import { findPositions, type KeyPath } from '../../src/config/positions.ts';

const lineIn = (toml: string, ...path: KeyPath): number => findPositions(toml).lineOf(path);

describe('the line of a key', () => {
  it('is found behind multi-line strings, their quotes, escapes and comments', () => {
    const toml = `a = """
[not.a.table] # no
x = 1 \\"""
""" # [neither]
b = '''
'' " # ''''
c = "[\\"]" # "
d = 1`;
    expect(['a', 'b', 'c', 'd'].map((key) => lineIn(toml, key))).toEqual([1, 5, 7, 8]);
  });

  it('is found in lists over several lines, and behind them', () => {
    const toml = 'a = [ # list\n  1,\n  [ "]", 2 ],\n  { x = 1, y = [\n 3 ] },\n]\nb = 1';
    expect(lineIn(toml, 'a', 1)).toBe(3);
    expect(lineIn(toml, 'a', 1, 1)).toBe(3);
    expect(lineIn(toml, 'a', 2, 'y', 0)).toBe(5);
    expect(lineIn(toml, 'b')).toBe(7);
  });

  it('is told apart between the tables of a list, and their own tables', () => {
    const toml = '[[p]]\nid = 1\n[p.d]\nr = 1\n[[p]]\nid = 2\n[[p.q]]\nz=1\n[[p.q]]\nz=2\n[p.d]\nr = 2';
    expect([lineIn(toml, 'p', 0, 'd', 'r'), lineIn(toml, 'p', 1, 'd', 'r')]).toEqual([4, 12]);
    expect([lineIn(toml, 'p', 1, 'q', 0, 'z'), lineIn(toml, 'p', 1, 'q', 1, 'z')]).toEqual([8, 10]);
  });

  it('is found for dotted, quoted and spaced keys', () => {
    const toml = '[ "a.b" . c ]\n x . "y\\u0041" . \'z w\' = 1\r\n[d]\r\ne = 2';
    expect(lineIn(toml, 'a.b', 'c', 'x', 'yA', 'z w')).toBe(2);
    expect(lineIn(toml, 'd', 'e')).toBe(4);
  });

  it('is that of the nearest table for a key that is not there', () => {
    expect(lineIn('x = 1\n[a]\nb = 1', 'a', 'missing')).toBe(2);
    expect(lineIn('x = 1', 'a', 'missing')).toBe(1);
  });
});
