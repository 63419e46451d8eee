import { expect, it } from 'vitest';
import { CliVault, providersToml, said } from '../helpers/cli.ts';

const NOWHERE = { HOLDFAST_POSTGRES_URL: 'postgres://someone:s3cret@127.0.0.1:1/nothing' };

it('a command says soon that the database does not answer, and how long it waits', async () => {
  const cli = await CliVault.create(`[engine]\npostgres_wait_ms = 3000\n${providersToml(3)}`);
  try {
    const put = await cli.run(['put', '-', '--name', 'x'], { input: Buffer.from('something') });
    expect(put.code, said(put)).toBe(0);
    const there = ['migrate', cli.home, 'postgres:there', 'postgres'];
    const told = await cli.run(there, { env: NOWHERE });
    expect(told.code, said(told)).toBe(4);
    expect(told.stderr).toMatch(/^waiting for the database at 127\.0\.0\.1:1 \(\d s of 3\)\n/);
    expect(told.stderr).toContain('\nholdfast: the database cannot be reached');
    const toPrograms = await cli.run([...there, '--json'], { env: NOWHERE });
    expect(toPrograms.code, said(toPrograms)).toBe(4);
    const lines = toPrograms.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines[0]).toEqual({
      event: 'engine_waiting',
      host: '127.0.0.1:1',
      waitedMs: expect.any(Number),
      limitMs: expect.closeTo(3000, -2),
    });
    expect(lines.at(-1)).toMatchObject({ code: 'engine_unreachable' });
    expect(`${said(told)}${said(toPrograms)}`).not.toContain('s3cret');
  } finally {
    await cli.remove();
  }
});
