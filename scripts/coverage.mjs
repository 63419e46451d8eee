// Which modules have a function that ran since the count began. Loaded with `--import` into a process that was started
// with a channel, it answers `start` and `take` there.
import { Session } from 'node:inspector/promises';

const session = new Session();
session.connect();

export async function startCoverage() {
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
}

/** @returns the modules' addresses. That a module was loaded is no call. */
export async function takeCoverage() {
  const { result } = await session.post('Profiler.takePreciseCoverage');
  await session.post('Profiler.stopPreciseCoverage');
  const called = ({ functionName, ranges: [{ startOffset, count }] }) =>
    count > 0 && !(functionName === '' && startOffset === 0);
  return result.filter(({ functions }) => functions.some(called)).map(({ url }) => url);
}

if (process.send) {
  process.on('message', async (what) => {
    process.send(what === 'start' ? ((await startCoverage()) ?? 'started') : await takeCoverage());
  });
  process.channel.unref();
}
