import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

const RUN = fileURLToPath(new URL('../../.ci/run', import.meta.url));

/** What the script asks npm for, with what is in its environment. */
const STEPS = ['ci', 'run check', 'run build', 'run bench:service', 'test', 'off test'];
/** The steps that get a second try: what a busy machine did once it does not do twice. */
const TRIED_TWICE = ['run bench:service'];

/** A folder of programs that is all the script finds: no apt-get, and an npm that only notes how it was called. */
let tools: string;
beforeEach(() => {
  tools = mkdtempSync(join(tmpdir(), 'holdfast-ci-'));
  symlinkSync('/bin/bash', join(tools, 'bash'));
  symlinkSync('/usr/bin/dirname', join(tools, 'dirname'));
});
afterEach(() => rmSync(tools, { recursive: true, force: true }));

function npmThatFailsAt(step: string): void {
  const log = join(tools, 'called');
  writeFileSync(log, '');
  const npm = join(tools, 'npm');
  writeFileSync(
    npm,
    `#!/bin/bash
called="\${HOLDFAST_NATIVE:+$HOLDFAST_NATIVE }$*"
echo "$called" >>'${log}'
[ "$CI $HOLDFAST_REQUIRE_SERVERS" = 'true 1' ] || exit 99
[ "$called" != '${step}' ] || exit 3
`,
  );
  chmodSync(npm, 0o755);
}

const called = (): string[] => readFileSync(join(tools, 'called'), 'utf8').trim().split('\n');
const run = (): number | null =>
  spawnSync('/bin/bash', [RUN], { env: { PATH: tools }, stdio: 'ignore' }).status;

it('runs every step, with nothing allowed to be absent', () => {
  npmThatFailsAt('none');
  expect(run()).toBe(0);
  expect(called()).toEqual(STEPS);
});

it.each(STEPS)('ends with the failure of `npm %s`', (step) => {
  npmThatFailsAt(step);
  expect(run()).toBe(3);
  const secondTry = TRIED_TWICE.includes(step) ? [step] : [];
  expect(called()).toEqual([...STEPS.slice(0, STEPS.indexOf(step) + 1), ...secondTry]);
});

it('fails where a tool is missing', () => {
  expect(run()).toBe(127);
});
