import { readdirSync, readFileSync } from 'node:fs';

/** What Linux tells of processes that run; nothing elsewhere. */

/** Linux counts processor time in hundredths of a second whatever the machine. */
const TICKS_PER_SECOND = 100;

/** Processor seconds so far, user and system, its children's included; NaN where the system does not tell. */
export function cpuSecondsOf(pid: number): number {
  try {
    // The name in brackets may hold anything; what follows are numbers.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    const own = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    return childrenOf(pid).reduce((sum, child) => sum + cpuSecondsOf(child), own);
  } catch {
    return Number.NaN;
  }
}

/** Processor nanoseconds so far of all threads that it has; hundredths of a second where the system tells no better. */
export function cpuNanosOf(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const times = threads.map((id) => readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8'));
    return times.reduce((sum, text) => sum + Number(text.split(' ')[0]), 0);
  } catch {
    return cpuSecondsOf(pid) * 1e9;
  }
}

/** Bytes in memory now, or at the most so far; NaN where the system does not tell. */
export function memoryOf(pid: number, which: 'VmRSS' | 'VmHWM'): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(new RegExp(`${which}:\\s*(\\d+) kB`).exec(status)?.[1]) * 1024;
  } catch {
    return Number.NaN;
  }
}

/** @throws Error where the system does not tell. */
export const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
