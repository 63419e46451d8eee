import { accessSync, constants, statfsSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import HungReporter from './test/helpers/hung-reporter.ts';

const slow = process.env.SLOW === '1';
const testTimeout = slow ? 3_600_000 : 300_000;

/** They replace modules, or watch the process: each has one of its own. All others share what they load. */
const ALONE = [
  'test/attacks/kernel-faults.test.ts',
  'test/cli/library-edges.test.ts',
  'test/engine/loading.test.ts',
  'test/engine/made-meanwhile.test.ts',
  'test/node/faults.test.ts',
  'test/pipeline/faults.test.ts',
  'test/sim/seeds.test.ts',
];

/**
 * Where files of tests go: into memory where there is room, since tests of folders wait for the disk for half of their
 * time. Deep runs stay on the disk.
 */
function temporary(): NodeJS.ProcessEnv {
  const [folder, room] = ['/dev/shm', 4 * 1024 ** 3];
  if (slow || process.env.TMPDIR !== undefined || process.platform !== 'linux') return {};
  try {
    accessSync(folder, constants.W_OK);
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize >= room ? { TMPDIR: folder } : {};
  } catch {
    return {};
  }
}

const EVERY = {
  env: temporary(),
  // Most objects die young: room for them saves a tenth of the time.
  execArgv: ['--max-semi-space-size=32'],
  testTimeout,
  hookTimeout: 300_000,
  // What is waited for comes when it comes: on a busy machine not within the second that is usual.
  expect: { poll: { timeout: 60_000, interval: 10 } },
};

export default defineConfig({
  test: {
    reporters: ['default', './test/helpers/skipped-reporter.ts', new HungReporter(2 * testTimeout)],
    // For machines of two cores: one file more than cores, since many tests wait for a disk, a wire or a clock.
    maxWorkers: 4,
    projects: [
      { test: { ...EVERY, name: 'shared', include: ['test/**/*.test.ts'], exclude: ALONE, isolate: false } },
      { test: { ...EVERY, name: 'alone', include: ALONE } },
    ],
  },
});
