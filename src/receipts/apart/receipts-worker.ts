import { readlinkSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { basename } from 'node:path';
import { workerData } from 'node:worker_threads';
import { selectBlake3ByLength } from '../../core/b3/select.ts';
import { systemClock } from '../../core/clock.ts';
import { doJobs } from '../../core/worker-thread.ts';
import { selectEd25519 } from '../ed25519/select.ts';
import { diskFiles } from '../log/disk.ts';
import { timelyFiles } from '../log/files.ts';
import { type EpochKnown, knowEpoch } from '../log/load.ts';
import { buffersOf, type FileSums, joinSums, sumFiles } from '../sums.ts';
import { checkPacked } from './signatures.ts';
import type { ReceiptJob, ReceiptSetup } from './threads.ts';

/** Nice: whoever serves reads gets a core first. */
const PRIORITY = 10;

/** Where threads have priorities of their own. */
function giveWay(): void {
  if (process.platform !== 'linux') return;
  try {
    const thread = Number(basename(readlinkSync('/proc/thread-self')));
    setPriority(thread, Math.max(PRIORITY, getPriority(thread)));
  } catch {
    // It works as well without.
  }
}

giveWay();
const { acceleration } = workerData as ReceiptSetup;
const parts = Promise.all([selectBlake3ByLength(acceleration), selectEd25519(acceleration)]);

/** A thread only reads. */
const files = timelyFiles(diskFiles, systemClock);

async function answer(job: ReceiptJob): Promise<unknown> {
  const [blake3, ed25519] = await parts;
  if (job.kind === 'check') return checkPacked(job.packed, ed25519);
  if (job.kind === 'join') return joinSums(blake3, job.parts);
  const place = { files, blake3, folder: job.folder };
  return job.kind === 'know' ? knowEpoch(place, job.epoch) : sumFiles(place, job.epoch, job.range);
}

doJobs<ReceiptJob>(answer, (found) => {
  // What may be large is given away.
  const { ids = [], tallied } = found as Partial<EpochKnown & FileSums>;
  return tallied === undefined ? ids.map(({ slots }) => slots.buffer as ArrayBuffer) : buffersOf({ tallied });
});
