import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createMemoryGate } from '../../src/gateway/memory-gate.ts';
import { readMemory } from '../../src/pipeline/get/read-ahead.ts';

const never = new AbortController().signal;
const gateOf = (capacityBytes: number, maxWaiting = 8) =>
  createMemoryGate({ clock: systemClock, capacityBytes, maxWaiting, parkAfterMs: 10 });

describe('the gate to the pipeline', () => {
  it('admits in order, and never more than there is', async () => {
    const gate = gateOf(100);
    const first = await gate.enter(60, 1000, never);
    const order: number[] = [];
    const second = gate.enter(60, 1000, never).then((permit) => {
      order.push(2);
      return permit;
    });
    const third = gate.enter(10, 1000, never).then((permit) => {
      order.push(3);
      return permit;
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(order).toEqual([]); // the small one does not overtake
    first.release();
    first.release();
    await Promise.all([second, third]);
    expect(order).toEqual([2, 3]);
    const fourth = gate.enter(31, 20, never);
    await expect(fourth).rejects.toMatchObject({ kind: 'Unavailable', code: 'gateway_busy' });
    (await second).release();
    (await gate.enter(90, 1000, never)).release();
  });

  it('takes a read that wants more than there is for one that wants all', async () => {
    const gate = gateOf(100);
    (await gate.enter(1000, 10, never)).release();
  });

  it('bounds those who wait, and lets those behind one who leaves through', async () => {
    const gate = gateOf(100, 2);
    const held = await gate.enter(50, 1000, never);
    const stop = new AbortController();
    const leaves = gate.enter(100, 1000, stop.signal);
    const behind = gate.enter(50, 1000, never);
    await expect(gate.enter(1, 1000, never)).rejects.toMatchObject({ code: 'gateway_busy' });
    stop.abort();
    await expect(leaves).rejects.toMatchObject({ kind: 'Aborted' });
    (await behind).release();
    held.release();
    expect(gate.waiting).toBe(0);
  });

  it('parks a holder that idles only while someone waits', async () => {
    const gate = gateOf(100);
    const held = await gate.enter(100, 1000, never);
    let parked = 0;
    held.idle(() => {
      parked++;
      held.release();
    });
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(parked).toBe(0);
    const next = await gate.enter(100, 1000, never);
    expect(parked).toBe(1);
    next.idle(() => parked++);
    next.busy();
    await expect(gate.enter(1, 40, never)).rejects.toMatchObject({ code: 'gateway_busy' });
    expect(parked).toBe(1);
  });
});

it('asks for no more memory than windows can hold, however long the read', () => {
  const MIB = 2 ** 20;
  expect(readMemory(2 ** 40, MIB, 128 * MIB)).toBe(readMemory(2 ** 30, MIB, 128 * MIB));
  expect(readMemory(1000, MIB, 128 * MIB)).toBeLessThan(5 * MIB);
});
