import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { absent } from '../helpers/absent.ts';
import { startService } from '../helpers/services.ts';

const run = promisify(execFile);
const FOLDER = fileURLToPath(new URL('../../examples/abuse/', import.meta.url));

let folder: string;
let page: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-abuse-'));
  page = await readFile(join(FOLDER, 'README.md'), 'utf8');
  await run(process.execPath, [join(FOLDER, 'make.mjs'), folder]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('what the page says to send is answered as its table says, and the node lives on', async ({ skip }) => {
  if (spawnSync('curl', ['--version']).error !== undefined) {
    absent('curl is not installed', 'the requests of examples/abuse');
    skip();
  }
  const node = await startService(['node', '--amnesia']);
  const expected = new Map(
    [...page.matchAll(/^\| `([\w.]+)` \| .* \| (\d{3})\b/gm)].map(([, name, status]) => [
      name!,
      Number(status),
    ]),
  );
  const sent = new Map<string, number>();
  for (const [line] of page.matchAll(/^curl .*$/gm)) {
    const words = line
      .replace('http://127.0.0.1:7700', node.url)
      .replace('/tmp/abuse', folder)
      .match(/'[^']*'|\S+/g)!
      .map((word) => word.replaceAll("'", ''));
    const { stdout } = await run('curl', [
      ...words.slice(1),
      '-sS',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '--max-time',
      '20',
    ]);
    sent.set(/\/(\w+\.\w+)/.exec(line.replace('/tmp/abuse', ''))![1]!, Number(stdout));
  }
  expect(sent).toEqual(expected);
  const answer = await fetch(`${node.url}/readyz`);
  await answer.arrayBuffer();
  expect(answer.status).toBe(200);
  expect(await node.stop()).toBe(0);
}, 60_000);
