import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Area } from './area.ts';
import { columns, MIB, median, sum } from './numbers.ts';
import { measure } from './processes.ts';
import type { Appended, Audited, Closed } from './receipts-run.ts';

const RUN = fileURLToPath(new URL('./receipts-run.js', import.meta.url));
/** One million, by processes that each know the work of those before them again. */
const PROCESSES = 10;
const EACH = 100_000;
const HOUR_MS = 3_600_000;
const EPOCH = 500_000;
const DURING_MS = EPOCH * HOUR_MS + 60_000;
const AFTER_MS = (EPOCH + 1) * HOUR_MS + 6 * 60_000;

interface Kind {
  readonly name: string;
  readonly appended: readonly Appended[];
  readonly closed: Closed;
  readonly files: number;
  readonly bytes: number;
}

export interface ReceiptsFigure {
  readonly kinds: readonly Kind[];
  readonly audited: Audited | undefined;
}

/** A million signed reads are checked and appended, and a million that nobody signed; the hour is closed. */
export async function benchReceipts(
  area: Area,
  deep: boolean,
  say: (text: string) => void,
): Promise<ReceiptsFigure> {
  const run = async <T>(what: string, folder: string, count: number, now: number): Promise<T> => {
    const { stdout } = await measure(process.execPath, [RUN, what, folder, `${count}`, `${now}`]);
    return JSON.parse(stdout) as T;
  };
  const kinds: Kind[] = [];
  let audited: Audited | undefined;
  for (const [what, name] of [
    ['sign', 'signed'],
    ['leave', 'unsigned'],
  ] as const) {
    const folder = join(area.dir, `receipts-${what}`);
    await mkdir(folder);
    const appended: Appended[] = [];
    for (let i = 0; i < PROCESSES; i++) {
      say(`${name}: ${(i * EACH).toLocaleString('en')}`);
      appended.push(await run<Appended>(what, folder, EACH, DURING_MS + i));
    }
    const closed = await run<Closed>('close', folder, 0, AFTER_MS);
    kinds.push({ name, appended, closed, ...(await sizeOf(join(folder, 'read', `${EPOCH}`))) });
    if (deep && what === 'sign') audited = await run<Audited>('audit', folder, EPOCH, AFTER_MS);
  }
  return { kinds, audited };
}

async function sizeOf(folder: string): Promise<{ readonly files: number; readonly bytes: number }> {
  const names = await readdir(folder);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return { files: names.length, bytes: sum(sizes) };
}

export function renderReceipts({ kinds, audited }: ReceiptsFigure): string {
  const most = (all: readonly Appended[], key: keyof Appended): number =>
    Math.max(...all.map((one) => one[key]));
  const lines = columns([
    [
      'receipts',
      'records',
      'a second',
      'CPU µs each',
      'main thread',
      'read p99 ms alone',
      'beside',
      'added',
      'turn p99 ms',
      'max',
      'computed p99 ms',
      'max',
      'answer p99 ms',
      'MiB',
      'open ms',
    ],
    ...kinds.map(({ name, appended }) => {
      const records = sum(appended.map((one) => one.records));
      const seconds = sum(appended.map((one) => one.seconds));
      const cpu = sum(appended.map((one) => one.cpuSeconds));
      const main = sum(appended.map((one) => one.mainSeconds));
      const middle = (key: keyof Appended): number => median(appended.map((one) => one[key]));
      const micros = (spent: number): string => ((spent / records) * 1e6).toFixed(0);
      return [
        ...[name, `${records}`, (records / seconds).toFixed(0), micros(cpu), micros(main)],
        ...[middle('quietP99').toFixed(2), middle('besideP99').toFixed(2)],
        (middle('besideP99') - middle('quietP99')).toFixed(2),
        ...[most(appended, 'turnP99').toFixed(2), most(appended, 'turnMax').toFixed(1)],
        ...[most(appended, 'turnCpuP99').toFixed(2), most(appended, 'turnCpuMax').toFixed(1)],
        ...[most(appended, 'answerP99').toFixed(1), most(appended, 'peakMib').toFixed(0)],
        most(appended, 'openMs').toFixed(0),
      ];
    }),
  ]);
  const roots = columns([
    ['root', 'records', 'ms', 'CPU ms', 'MiB before', 'MiB at most', 'files', 'bytes on disk', 'bytes each'],
    ...kinds.map(({ name, closed, files, bytes }) => [
      ...[
        name,
        `${closed.count}`,
        closed.ms.toFixed(0),
        closed.cpuMs.toFixed(0),
        closed.idleMib.toFixed(0),
        closed.peakMib.toFixed(0),
      ],
      ...[`${files}`, `${(bytes / MIB).toFixed(0)} MiB`, (bytes / closed.count).toFixed(0)],
    ]),
  ]);
  const audit =
    audited === undefined
      ? []
      : [
          `audit: ${audited.signatures} signatures in ${(audited.ms / 1_000).toFixed(0)} s, ${audited.difference === undefined ? 'no difference' : JSON.stringify(audited.difference)}`,
        ];
  return [lines, '', roots, ...audit].join('\n');
}
