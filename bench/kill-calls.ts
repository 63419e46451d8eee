// Kills a put, an overwrite, a rm, a recover and a gc at every call that changes the home or a provider:
// npm run kills:calls -- [--step 1] [--only put] [--folder /dev/shm]. Needs a C compiler.
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { COMMANDS, killAtCalls } from './kill-calls-run.ts';
import { every } from './strikes.ts';

const { values } = parseArgs({
  options: {
    step: { type: 'string', default: '1' },
    only: { type: 'string' },
    folder: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
  },
});

for (const command of COMMANDS) {
  if (values.only !== undefined && values.only !== command) continue;
  const started = performance.now();
  const step = every(Number(values.step));
  const { calls, killed, torn, failures } = await killAtCalls(command, values.folder, step);
  const parts = [...killed].map(([call, count]) => `${call} ${count}`).join(', ');
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  const sum = [...killed.values()].reduce((a, b) => a + b, 0);
  console.log(
    `${command}: ${calls} calls, killed before ${sum} (${parts}) and in ${torn}, ${failures.length} failures, ${seconds} s`,
  );
  for (const failure of failures) console.error(`FAILED ${command}, ${failure}`);
  if (failures.length > 0) process.exitCode = 1;
}
