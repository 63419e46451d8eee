import { appendFile, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlobAddress } from '../../../src/core/address.ts';
import { filesOnDisk, type LogFiles } from '../../../src/upkeep/repair/log-files.ts';
import {
  createMemoryRepairLog,
  DiskRepairLog,
  type RepairEntry,
  type RepairLog,
} from '../../../src/upkeep/repair/repair-log.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

const DAY_MS = 86_400_000;
const MANIFEST = `b3:${'7'.repeat(64)}` as BlobAddress;
const entry = (chunk: number, more: Partial<RepairEntry> = {}): Omit<RepairEntry, 'atMs'> => ({
  kind: 'repair',
  manifest: MANIFEST,
  segment: undefined,
  chunk,
  status: 'success',
  bytes: 10 * chunk,
  error: undefined,
  nextMs: undefined,
  ...more,
});

let dir: string;
const clock = (): FakeClock => new FakeClock();
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-repair-log-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const reported: string[] = [];
const logOver = (files: LogFiles, time: FakeClock): RepairLog => {
  reported.length = 0;
  return new DiskRepairLog({
    clock: time,
    files,
    log: (_, event, { error }) => void reported.push(`${event}: ${error}`),
  });
};
const onDisk = (time: FakeClock): RepairLog => logOver(filesOnDisk(join(dir, 'log')), time);
const read = async (log: RepairLog, limit?: number): Promise<RepairEntry[]> => {
  const found = [];
  for await (const one of log.history({ limit })) found.push(one);
  return found;
};
const chunks = async (log: RepairLog, limit?: number): Promise<(number | undefined)[]> =>
  (await read(log, limit)).map(({ chunk }) => chunk);

describe('the log of repairs', () => {
  it('gives back what was written, the newest first, though another process wrote it', async () => {
    const time = clock();
    const log = onDisk(time);
    await log.append(entry(1));
    time.move(1_500);
    const failed = entry(2, { status: 'skipped', error: 'no "room"\nleft', nextMs: time.now() + 60_000 });
    await log.append(failed);
    expect(await read(onDisk(time))).toEqual([
      { ...failed, atMs: 1_700_000_001_500 },
      { ...entry(1), atMs: 1_700_000_000_000 },
    ]);
    expect(await chunks(log, 1)).toEqual([2]);
    expect(await chunks(log, 0)).toEqual([]);
  });

  it('writes the lines that its page describes, for nobody else to read', async () => {
    await onDisk(clock()).append(entry(3, { status: 'failure', error: 'late', nextMs: 1_700_000_060_000 }));
    const file = join(dir, 'log', 'repair-2023-11-14.jsonl');
    expect(await readFile(file, 'utf8')).toBe(
      `{"manifest":"${MANIFEST}","chunk":3,"status":"failure","bytes":30,"error":"late",` +
        '"ts":"2023-11-14T22:13:20.000Z","next":"2023-11-14T22:14:20.000Z"}\n',
    );
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('says of a move what was moved, and passes over kinds of a later version', async () => {
    const log = onDisk(clock());
    const segment = `b3:${'8'.repeat(64)}` as BlobAddress;
    const moved = { manifest: MANIFEST, chunk: undefined, status: 'success', bytes: 30 } as const;
    const told = { ...moved, kind: 'replace', segment, error: undefined, nextMs: undefined } as const;
    await log.append(told);
    const file = join(dir, 'log', 'repair-2023-11-14.jsonl');
    const line = `{"kind":"replace","manifest":"${MANIFEST}","segment":"${segment}","status":"success","bytes":30,"ts":"2023-11-14T22:13:20.000Z"}\n`;
    expect(await readFile(file, 'utf8')).toBe(line);
    await appendFile(file, line.replace('replace', 'teleport') + line.replace(segment, 'b3:no'));
    expect(await read(log)).toEqual([{ ...told, atMs: 1_700_000_000_000 }]);
  });

  it('begins a file a day and keeps fourteen', async () => {
    const time = clock();
    const log = onDisk(time);
    await writeFile(join(dir, 'other.txt'), '');
    for (let day = 0; day < 17; day++) {
      await log.append(entry(day));
      await log.append(entry(day));
      time.move(DAY_MS);
    }
    const names = (await readdir(join(dir, 'log'))).toSorted();
    expect(names).toHaveLength(14);
    expect([names[0], names[13]]).toEqual(['repair-2023-11-17.jsonl', 'repair-2023-11-30.jsonl']);
    expect(new Set(await chunks(log))).toEqual(new Set([16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3]));
  });

  it('keeps the file it writes to when a clock that was ahead has left later ones', async () => {
    const time = clock();
    const ahead = onDisk(time);
    time.jump = 1000 * DAY_MS;
    for (let day = 0; day < 14; day++) {
      await ahead.append(entry(day));
      time.jump += DAY_MS;
    }
    time.jump = 0;
    await ahead.append(entry(99));
    expect(await chunks(ahead)).toContain(99);
    expect(await readdir(join(dir, 'log'))).toHaveLength(14);
  });

  it('passes over a line that was cut off, and goes on with one of its own', async () => {
    const time = clock();
    await onDisk(time).append(entry(1));
    await appendFile(join(dir, 'log', 'repair-2023-11-14.jsonl'), '{"manifest":"b3:77');
    const log = onDisk(time);
    expect(await chunks(log)).toEqual([1]);
    await log.append(entry(2));
    expect(await chunks(log)).toEqual([2, 1]);
  });

  it('reads a file of many blocks, passing over lines that no log has', async () => {
    const time = clock();
    const log = onDisk(time);
    await log.append(entry(0));
    const file = join(dir, 'log', 'repair-2023-11-14.jsonl');
    const [line] = (await readFile(file, 'utf8')).split('\n');
    const many = Array.from({ length: 1500 }, (_, i) => line!.replace('"chunk":0', `"chunk":${i + 1}`));
    many.splice(700, 0, 'x'.repeat(200_000), '', `{"status":"success"}`, line!.replace('success', 'magic'));
    await appendFile(file, `${many.join('\n')}\n`);
    expect(await chunks(log)).toEqual(Array.from({ length: 1501 }, (_, i) => 1500 - i));
  });

  it('lets nothing fail when the disk is full, reports it once, and goes on when there is room', async () => {
    let full = true;
    const files: LogFiles = {
      ...filesOnDisk(join(dir, 'log')),
      append: (...given) =>
        full
          ? Promise.reject(Object.assign(new Error('write'), { code: 'ENOSPC' }))
          : filesOnDisk(join(dir, 'log')).append(...given),
    };
    const log = logOver(files, clock());
    await log.append(entry(1));
    await log.append(entry(2));
    expect(reported).toEqual(['repair_log_not_written: the disk is full (ENOSPC)']);
    full = false;
    await log.append(entry(3));
    expect(await chunks(log)).toEqual([3]);
  });

  it('waits for a disk that hangs no longer than a few seconds, and holds no more than a few lines', async () => {
    const time = clock();
    let asked = 0;
    const files: LogFiles = {
      ...filesOnDisk(join(dir, 'log')),
      append: () => {
        asked++;
        return new Promise(() => {});
      },
    };
    const log = logOver(files, time);
    const waiting = Array.from({ length: 500 }, (_, i) => log.append(entry(i)));
    await time.advance(5_000);
    await Promise.all(waiting);
    expect(asked).toBe(1);
    expect(reported).toHaveLength(1);
  });

  it('writes no further than a file may grow, and follows no link', async () => {
    const file = join(dir, 'repair-2023-11-14.jsonl');
    const files = filesOnDisk(dir);
    await writeFile(file, 'x'.repeat(100));
    await expect(files.append('repair-2023-11-14.jsonl', 'a line', 100)).rejects.toMatchObject({
      code: 'EFBIG',
    });
    await symlink(file, join(dir, 'repair-2023-11-15.jsonl'));
    await expect(files.append('repair-2023-11-15.jsonl', 'a line', 1000)).rejects.toMatchObject({
      code: 'ELOOP',
    });
    expect(await readFile(file, 'utf8')).toBe('x'.repeat(100));
  });

  it('is written also where the clock shows a time that there is not', async () => {
    const time = clock();
    time.jump = Number.MAX_SAFE_INTEGER;
    const log = onDisk(time);
    await log.append(entry(1, { nextMs: Number.MAX_SAFE_INTEGER }));
    expect(reported).toEqual([]);
    expect(await chunks(log)).toEqual([1]);
  });

  it('keeps the latest thousand in memory where there is no disk', async () => {
    const log = createMemoryRepairLog({ clock: clock() });
    for (let i = 0; i < 1100; i++) await log.append(entry(i));
    expect(await chunks(log, 2)).toEqual([1099, 1098]);
    expect(await chunks(log)).toHaveLength(1000);
  });
});
