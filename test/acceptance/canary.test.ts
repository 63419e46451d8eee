import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type Outcome, SLOW, start } from '../helpers/cli.ts';
import { filesBelow } from '../helpers/files.ts';

/** Marks that must show nowhere, in every encoding that a careless program might leave them in. */
const CANARIES = ['cAnArYcOnTeNt', 'cAnArYnAmE', 'cAnArYpAsS', 'cAnArYtYpE'] as const;
const [CONTENT, NAME, PASS, TYPE] = CANARIES;

function encodings(text: string): Buffer[] {
  const utf8 = Buffer.from(text);
  return [
    utf8,
    Buffer.from(text.toLowerCase()),
    Buffer.from(text, 'utf16le'),
    Buffer.from(utf8.toString('hex')),
    Buffer.from(utf8.toString('hex').toUpperCase()),
    // The middle of base64 is the same whatever stands before, at one of three phases.
    ...[0, 1, 2].map((phase) => Buffer.from(utf8.subarray(phase).toString('base64').slice(0, 12))),
    Buffer.from(encodeURIComponent(text)),
    Buffer.from(utf8).reverse(),
  ];
}

async function hits(folder: string): Promise<{ files: number; bytes: number; found: string[] }> {
  const found: string[] = [];
  let bytes = 0;
  const files = await filesBelow(folder);
  for (const path of files) {
    const content = await readFile(path).catch(() => Buffer.alloc(0));
    bytes += content.length;
    for (const canary of CANARIES) {
      for (const text of encodings(canary)) {
        if (content.includes(text) || path.includes(text.toString('latin1')))
          found.push(`${canary} in ${path}`);
      }
    }
  }
  return { files: files.length, bytes, found };
}

describe('what providers and the state folder get to see', () => {
  // Of what zstd does not shrink, chunks are stored as they are: that is in the inputs too.
  const codecs = SLOW ? (['none', 'zstd', 'deflate', 'lz77-rle'] as const) : (['zstd'] as const);
  for (const codec of codecs) {
    it(`is no content, name, passphrase or type, with ${codec}`, async () => {
      const outer = await mkdtemp(join(tmpdir(), 'holdfast-test-'));
      const home = join(outer, 'home');
      const config = join(outer, 'c.toml');
      await writeFile(
        config,
        `[compression]\nalgorithm = "${codec}"\n[chunks]\nladder = ["64 KiB"]\ndefault_bytes = "64 KiB"\n`,
      );
      const run = (
        args: string[],
        input: Uint8Array = new Uint8Array(0),
        pass: string = PASS,
      ): Promise<Outcome> =>
        start([...args, '--home', home, '--config', config], { env: { HOLDFAST_PASSPHRASE: pass }, input })
          .outcome;
      try {
        expect((await run(['init'])).code).toBe(0);
        const repeated = Buffer.from(CONTENT.repeat(40_000));
        const random = Buffer.concat([Buffer.from(CONTENT), deflateSync(repeated), Buffer.from(CONTENT)]);
        const inputs = [Buffer.from(CONTENT), Buffer.from(CONTENT.repeat(200)), random, repeated];
        for (const [i, input] of inputs.entries()) {
          const put = await run(
            ['put', '-', '--name', `${NAME}/${i}`, '--content-type', `text/${TYPE}`],
            input,
          );
          expect(put.code, put.stderr).toBe(0);
        }
        expect((await run(['put', '-', '--content-type', TYPE], repeated)).code).toBe(0);
        await run(['put', '-', '--name', `${NAME}/0`], Buffer.from(`${CONTENT} again`));
        await run(['rm', `${NAME}/1`]);
        await run(['get', `${NAME}/2`]);
        await run(['verify', `${NAME}/3`]);
        await run(['ls'], undefined, `not ${PASS}`);
        await run(['put', '-', '--name', NAME, '--min-tolerates', '9'], repeated);
        // Cut off in the middle, gently and not.
        for (const signal of ['SIGINT', 'SIGKILL'] as const) {
          for (let i = 0; i < (SLOW ? 6 : 2); i++) {
            const { child, outcome } = start(
              ['put', '-', '--name', NAME, '--home', home, '--config', config],
              {
                env: { HOLDFAST_PASSPHRASE: PASS },
                input: (async function* () {
                  for (let piece = 0; piece < 200; piece++) {
                    yield repeated;
                    await new Promise((resolve) => setTimeout(resolve, 5));
                  }
                })(),
              },
            );
            setTimeout(() => child.kill(signal), 500 + 250 * i);
            await outcome;
            expect((await hits(home)).found).toEqual([]);
          }
        }
        const seen = await hits(home);
        expect(seen.found).toEqual([]);
        expect(seen.files).toBeGreaterThan(30);
        // The search itself finds what is there.
        await writeFile(
          join(home, 'providers', 'p1', 'planted'),
          `x${Buffer.from(`  ${NAME}`).toString('base64')}`,
        );
        expect((await hits(home)).found.length).toBeGreaterThan(0);
        console.log(
          `canary: ${codec}: ${CANARIES.length} canaries in ${encodings('x').length} encodings: no hit in ${seen.files} files, ${seen.bytes} bytes`,
        );
      } finally {
        await rm(outer, { recursive: true, force: true });
      }
    });
  }
});
