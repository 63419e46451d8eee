import { defineConfig } from 'vitest/config';

const slow = process.env.SLOW === '1';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: ['default', './test/helpers/skipped-reporter.ts'],
    testTimeout: slow ? 3_600_000 : 300_000,
    hookTimeout: 300_000,
    // What is waited for comes when it comes: on a busy machine not within the second that is usual.
    expect: { poll: { timeout: 60_000, interval: 10 } },
    // For machines of two cores: one file more than cores, since many tests wait for a disk, a wire or a clock.
    maxWorkers: 3,
  },
});
