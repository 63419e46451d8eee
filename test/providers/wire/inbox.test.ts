import { describe, expect, it } from 'vitest';
import { Inbox } from '../../../src/providers/wire/inbox.ts';

const PIECE = 64 * 1024;
const piece = (value: number, length = PIECE): Uint8Array => new Uint8Array(length).fill(value);

function inbox(): { box: Inbox; calls: string[] } {
  const calls: string[] = [];
  const flow = {
    pause: () => void calls.push('pause'),
    resume: () => void calls.push('resume'),
    abort: () => void calls.push('abort'),
  };
  return { box: new Inbox(flow), calls };
}

const values = async (pieces: AsyncIterable<Uint8Array>): Promise<number[]> => {
  const seen: number[] = [];
  for await (const [first] of pieces) seen.push(first!);
  return seen;
};

describe('a body that nobody takes yet', () => {
  it('stops its connection at 256 KiB', () => {
    const { box, calls } = inbox();
    for (let i = 0; i < 3; i++) box.push(piece(i));
    expect(calls).toEqual([]);
    box.push(piece(3));
    expect(calls).toEqual(['pause']);
  });

  it('keeps what came for whoever pulls, also after its end', async () => {
    const { box } = inbox();
    box.push(piece(1));
    box.push(piece(2));
    box.end();
    expect(await values(box.pieces())).toEqual([1, 2]);
  });

  it('keeps what came for whoever drains, also after its end', async () => {
    const { box, calls } = inbox();
    const seen: number[] = [];
    box.push(piece(1));
    box.push(piece(2));
    box.end();
    await box.drain(([first]) => seen.push(first!) > 0);
    expect(seen).toEqual([1, 2]);
    expect(calls).not.toContain('abort');
  });
});

describe('pulled', () => {
  it('gets pieces as they come and starts the connection again', async () => {
    const { box, calls } = inbox();
    const all = values(box.pieces());
    for (let i = 0; i < 5; i++) {
      box.push(piece(i));
      await new Promise((resolve) => setImmediate(resolve));
    }
    box.end();
    expect(await all).toEqual([0, 1, 2, 3, 4]);
    expect(calls).toContain('resume');
    expect(calls).not.toContain('abort');
  });

  it('drops the connection when it is left early, and takes nothing more', async () => {
    const { box, calls } = inbox();
    box.push(piece(1));
    for await (const _ of box.pieces()) break;
    expect(calls.at(-1)).toBe('abort');
    for (let i = 0; i < 10; i++) box.push(piece(i));
    expect(calls).not.toContain('pause');
  });

  it('throws what the connection failed with, also while it waits', async () => {
    const { box } = inbox();
    const waiting = values(box.pieces());
    box.fail(new Error('reset'));
    await expect(waiting).rejects.toThrow('reset');
  });
});

describe('drained', () => {
  it('is told to stop once, and is not called again', async () => {
    const { box, calls } = inbox();
    let taken = 0;
    box.push(piece(1));
    box.push(piece(2));
    const done = box.drain(() => {
      taken++;
      return false;
    });
    box.push(piece(3));
    await done;
    expect(taken).toBe(1);
    expect(calls.filter((call) => call === 'abort')).toHaveLength(1);
  });

  it('rejects with what the taker throws, and drops the connection', async () => {
    const { box, calls } = inbox();
    let taken = 0;
    const done = box.drain(() => {
      taken++;
      throw new Error('no room');
    });
    box.push(piece(1));
    box.push(piece(2));
    await expect(done).rejects.toThrow('no room');
    expect(taken).toBe(1);
    expect(calls).toContain('abort');
  });

  it('rejects when the connection fails, and takes nothing that comes later', async () => {
    const { box } = inbox();
    let taken = 0;
    const done = box.drain(() => ++taken > 0);
    box.push(piece(1));
    box.fail(new Error('reset'));
    box.push(piece(2));
    await expect(done).rejects.toThrow('reset');
    expect(taken).toBe(1);
    await expect(box.drain(() => true)).rejects.toThrow('reset');
  });
});
