import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';

const SCRIPT = resolve(import.meta.dirname, '../../scripts/check-lock.mjs');

it('a release is refused while the lockfile has an entry without a hash', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-lock-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'package-lock.json');
  const check = async (entry: Record<string, unknown>) => {
    await writeFile(
      file,
      JSON.stringify({ packages: { '': {}, 'node_modules/x': { version: '1.0.0', ...entry } } }),
    );
    return spawnSync(process.execPath, [SCRIPT, file], { encoding: 'utf8' });
  };
  expect(await check({ integrity: `sha512-${'A'.repeat(86)}==` })).toMatchObject({ status: 0, stderr: '' });
  for (const entry of [{}, { integrity: 'sha1-AAAA' }, { optional: true }]) {
    const refused = await check(entry);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('no integrity: node_modules/x 1.0.0');
  }
});
