import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Vault } from '../../src/index.ts';
import { CliVault, MAIN, providersToml, SLOW } from '../helpers/cli.ts';

const LIBRARY = pathToFileURL(join(MAIN, '..', '..', 'index.js')).href;
const BLOCK = 32 * 1024;
/** Names that one process puts at once, so that it does not close the database in between. */
const MANY = 16;
/** What is damaged of each kind. */
const SAMPLES = SLOW ? 60 : 2;

let cli: CliVault;
let whole: string;
/** Files of the database, as the killed process left it. */
let files: Map<string, Buffer>;
const contents = new Map<string, string>();

/**
 * In a process of its own: puts these names, and is killed before it closes the vault, or closes it. On a busy machine all
 * providers may be late for a name: the result of the put says that only the state knows of it.
 */
function work(names: readonly string[], tag: string, end: 'closed' | 'killed'): void {
  const script = `
    import { writeSync } from 'node:fs';
    import { openVault } from ${JSON.stringify(LIBRARY)};
    const vault = await openVault({ home: ${JSON.stringify(cli.home)}, config: ${JSON.stringify(cli.flags[3])}, env: {} });
    const put = async (name) => {
      const { pointerCopies } = await vault.putObject(Buffer.from(name + ${JSON.stringify(tag)}), { name });
      return pointerCopies > 0;
    };
    const told = await Promise.all(${JSON.stringify(names)}.map(put));
    writeSync(1, JSON.stringify(told));
    ${end === 'closed' ? 'await vault.close();' : "process.kill(process.pid, 'SIGKILL');"}`;
  const args = ['--input-type=module', '-e', script];
  const { stderr, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stderr).toBe('');
  const told = JSON.parse(stdout) as boolean[];
  for (const [i, name] of names.entries()) {
    if (told[i]) contents.set(name, name + tag);
    else contents.delete(name);
  }
  expect(contents.size).toBeGreaterThan(0);
}

beforeAll(async () => {
  cli = await CliVault.create(providersToml(3));
  for (const tag of ['1', '2', '3']) work(['a', 'b', 'c'], tag, 'closed');
  work(['a', ...Array.from({ length: MANY }, (_, i) => `n${i}`)], '4', 'killed');
  whole = `${cli.home}-whole`;
  cpSync(cli.home, whole, { recursive: true, preserveTimestamps: true });
  const engine = join(whole, 'engine');
  const names = readdirSync(engine).filter((name) => !name.startsWith('LO'));
  files = new Map(names.map((name) => [name, readFileSync(join(engine, name))]));
});
afterAll(async () => {
  await cli.remove();
  await rm(whole, { recursive: true, force: true });
});

const named = (pattern: RegExp): string[] => [...files.keys()].filter((name) => pattern.test(name)).sort();

/** Where the records of the newest log begin, and how long they are. */
function logRecords(): { log: string; at: number; length: number }[] {
  const log = named(/\.log$/).at(-1)!;
  const bytes = files.get(log)!;
  const records = [];
  for (let at = 0; at + 7 <= bytes.length; ) {
    const left = BLOCK - (at % BLOCK);
    const length = left < 7 ? left - 7 : bytes.readUInt16LE(at + 4);
    if (left >= 7) records.push({ log, at, length });
    at += 7 + length;
  }
  return records;
}

/** So many of them, spread over all. */
const some = <T>(all: readonly T[], count = SAMPLES): T[] => {
  const step = Math.max(1, all.length / count);
  return all.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
};

const flip = (name: string, byte: number, bit: number): void => {
  const bytes = Buffer.from(files.get(name)!);
  bytes[byte]! ^= 1 << bit;
  writeFileSync(join(cli.home, 'engine', name), bytes);
};

async function read(vault: Vault, name: string): Promise<string> {
  return Buffer.from(await (await vault.getObject(name)).bytes()).toString();
}

/** Providers that a busy machine keeps waiting are unconfirmed; then it says so, and is to be run again. */
async function recovered(vault: Vault): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { lost, damagedSlots, unconfirmed } = await vault.recover();
    expect({ lost, damagedSlots }).toEqual({ lost: [], damagedSlots: 0 });
    if (unconfirmed.providers.length + unconfirmed.names.length === 0) return;
    expect(attempt, JSON.stringify(unconfirmed)).toBeLessThan(3);
  }
}

/** Everything that may do harm, then what brings the state up to date, then all that was acknowledged. */
async function useAndRecover(damage: () => void): Promise<string[]> {
  rmSync(cli.home, { recursive: true });
  cpSync(whole, cli.home, { recursive: true, preserveTimestamps: true });
  // It is to pass for the original: nobody works on that.
  for (const owner of readdirSync(join(cli.home, 'owners')))
    rmSync(join(cli.home, 'owners', owner, 'place'), { force: true });
  damage();
  const codes: string[] = [];
  const told = (error: { kind: string; code: string }): void => {
    expect(['Corrupt', 'Unavailable', 'NotFound']).toContain(error.kind);
    codes.push(error.code);
  };
  const expected = new Map(contents);
  let isRemoved = false;
  const before = await cli.open().catch(told);
  if (before !== undefined) {
    await before
      .putObject(Buffer.from('after'), { name: 'after' })
      .then(({ pointerCopies }) => pointerCopies > 0 && expected.set('after', 'after'), told);
    await before.deleteObject('b').then(() => {
      isRemoved = true;
    }, told);
    // A removal that failed may have been done.
    expected.delete('b');
    await before.gc({ minAgeMs: 0 }).catch(told);
    await before.close();
  }
  if (codes.some((code) => code.startsWith('engine_')))
    renameSync(join(cli.home, 'engine'), join(cli.home, 'aside'));
  const vault = await cli.open();
  try {
    await recovered(vault);
    for (const [name, content] of expected) expect(await read(vault, name)).toBe(content);
    await vault.gc({ minAgeMs: 0 });
    for (const [name, content] of expected) expect(await read(vault, name)).toBe(content);
    if (isRemoved) await expect(read(vault, 'b')).rejects.toMatchObject({ kind: 'NotFound' });
  } finally {
    await vault.close();
  }
  return codes;
}

describe('a database that a disk has damaged opens, or says what to do, and all is back then', {
  timeout: 900_000,
}, () => {
  it('a flipped bit in a record of the newest log, in each of its blocks', async () => {
    const records = logRecords();
    const inBlock = (block: number) => records.filter(({ at }) => Math.floor(at / BLOCK) === block);
    const blocks = [...new Set(records.map(({ at }) => Math.floor(at / BLOCK)))];
    for (const block of blocks.slice(0, SLOW ? undefined : 3))
      for (const { log, at, length } of some(inBlock(block)))
        await useAndRecover(() => flip(log, at + 7 + (length >> 1), at % 8));
  });

  it('a log that is cut off, at and between its records', async () => {
    for (const { log, at, length } of some(logRecords()))
      for (const end of SLOW ? [at, at + 3, at + 7 + (length >> 1)] : [at + 3])
        await useAndRecover(() =>
          writeFileSync(join(cli.home, 'engine', log), files.get(log)!.subarray(0, end)),
        );
  });

  it.each([/\.ldb$/, /^MANIFEST/, /^CURRENT/])('a bit of %s flipped, or its end cut off', async (pattern) => {
    for (const name of SLOW ? named(pattern) : named(pattern).slice(-1)) {
      const { length } = files.get(name)!;
      for (const at of some(Array.from({ length }, (_, i) => i))) {
        await useAndRecover(() => flip(name, at, at % 8));
        if (at % 2 === 0)
          await useAndRecover(() =>
            writeFileSync(join(cli.home, 'engine', name), files.get(name)!.subarray(0, at)),
          );
      }
    }
  });

  it.each([/\.log$/, /\.ldb$/, /^MANIFEST/, /^CURRENT/])(
    '%s missing, or followed by what is none of it',
    async (pattern) => {
      const name = named(pattern).at(-1)!;
      const path = join(cli.home, 'engine', name);
      const codes = await useAndRecover(() => rmSync(path));
      // LevelDB begins a new log and says nothing where one is gone.
      if (!name.endsWith('.log')) expect(codes).toContain('engine_corrupt');
      await useAndRecover(() => writeFileSync(path, Buffer.concat([files.get(name)!, Buffer.alloc(100, 7)])));
    },
  );
});
