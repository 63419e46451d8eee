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
    // Two, like the machines it must be fast on; the tests start threads and processes of their own.
    maxWorkers: 2,
  },
});
