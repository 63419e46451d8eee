import { parseArgs } from 'node:util';

const MIB = 1024 ** 2;
export const PARTS = [
  'kernels',
  'random',
  'real',
  'peers',
  'start',
  'micro',
  'tail',
  'load',
  'gateway',
] as const;
/** Only when they are asked for. */
export const MORE_PARTS = [
  'counts',
  'curves',
  'nodes',
  'memory',
  'portable',
  'slowloris',
  'overload',
  'crash',
  'gatewayload',
  'hung',
  'recover',
  'index',
  'repair',
  'receipts',
] as const;
export type MorePart = (typeof MORE_PARTS)[number];
export type Part = (typeof PARTS)[number] | MorePart;

export interface Options {
  /** Bytes of random input; real input has half of that. */
  readonly size: number;
  readonly runs: number;
  readonly only: ReadonlySet<Part>;
  readonly json: boolean;
  /** Memory with objects of up to 16 GiB. */
  readonly deep: boolean;
  /** Folder to work in. */
  readonly dir: string | undefined;
}

const USAGE = `npm run bench -- [--size MIB] [--runs N] [--only PART,…] [--deep] [--dir FOLDER] [--json]

  --size   MiB of random input, default 1024; the real input has half of that
  --runs   how often each is done, default 3; medians are printed
  --only   ${PARTS.join(', ')}; default all of these. Besides: ${MORE_PARTS.join(', ')}
  --deep   memory with objects of up to 16 GiB: minutes, and 29 GiB of memory or disk; an audit of the receipts
  --dir    where files go, default a tmpfs if there is one`;

/** @throws TypeError with the usage text. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parse(args);
  const only = values.only === undefined ? [...PARTS] : values.only.split(',');
  const known: readonly string[] = [...PARTS, ...MORE_PARTS];
  const unknown = only.filter((part) => !known.includes(part));
  if (unknown.length > 0) throw new TypeError(`no such part: ${unknown.join(', ')}\n\n${USAGE}`);
  return {
    size: whole('size', values.size) * MIB,
    runs: whole('runs', values.runs),
    only: new Set(only as Part[]),
    json: values.json,
    deep: values.deep,
    dir: values.dir,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        size: { type: 'string', default: '1024' },
        runs: { type: 'string', default: '3' },
        only: { type: 'string' },
        dir: { type: 'string' },
        deep: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
  } catch (cause) {
    throw new TypeError(`${(cause as Error).message}\n\n${USAGE}`);
  }
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new TypeError(`--${name} is a whole number from 1\n\n${USAGE}`);
}
