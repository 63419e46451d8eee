// One of several writers of a vault that is kept on PostgreSQL, run by shared-kills.ts until it is killed:
//   node shared-writer.js TASK
// It says of each operation when it was called and when it ended: "<number> <time> <what>".
import { createHash } from 'node:crypto';
import { systemClock } from '../src/core/clock.ts';
import type { HoldfastError } from '../src/core/errors.ts';
import { secureRandom } from '../src/core/random.ts';
import { loadPostgresEngine } from '../src/engine/index.ts';
import type { Vault } from '../src/index.ts';
import type { Operation } from './linearizable.ts';

export interface WriterTask {
  readonly home: string;
  readonly library: string;
  readonly url: string;
  readonly schema: string;
  readonly writer: string;
  readonly names: number;
  /** Operations at once. */
  readonly lanes: number;
  /** Puts only, to be counted. */
  readonly putsOnly: boolean;
}

/** The library is another copy of the class. */
const isNotFound = (error: unknown): boolean => (error as Partial<HoldfastError>).kind === 'NotFound';

/** Content that says what was put, and whether it is whole. */
export function contentOf(id: string): Uint8Array {
  const length = 200 + (createHash('sha256').update(id).digest().readUInt32LE(0) % 20_000);
  const unit = Buffer.from(`${id}\n`);
  return Uint8Array.from({ length }, (_, i) => unit[i % unit.length]!);
}

/** @throws Error where it is not what was put. */
export function idIn(content: Uint8Array): string {
  const id = Buffer.from(content).toString().split('\n', 1)[0]!;
  if (Buffer.compare(contentOf(id), content) !== 0) throw new Error(`content of ${id} is not what was put`);
  return id;
}

export async function readName(vault: Vault, name: string): Promise<string | null> {
  try {
    const reader = await vault.getObject(name);
    const parts: Uint8Array[] = [];
    for await (const part of reader) parts.push(part);
    return idIn(Buffer.concat(parts));
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}

const now = (): number => Number(process.hrtime.bigint() / 1000n);
let count = 0;
/** They are quick, and puts are not. */
const SLOT_TURNS = 6;

/** @param work says what it saw; what throws has no known end. */
async function tell(
  register: string,
  what: Operation['what'],
  work: () => Promise<Operation['what'] | undefined>,
): Promise<void> {
  const number = count++;
  process.stdout.write(`${JSON.stringify({ number, register, call: now(), what })}\n`);
  try {
    const seen = await work();
    process.stdout.write(`${JSON.stringify({ number, ended: now(), what: seen ?? what })}\n`);
  } catch (error) {
    const code = (error as Partial<HoldfastError>).code ?? String(error);
    process.stdout.write(`${JSON.stringify({ number, failed: code })}\n`);
    await systemClock.sleep(50);
  }
}

async function main(task: WriterTask): Promise<void> {
  const { openVault } = (await import(task.library)) as typeof import('../src/index.ts');
  const env = { HOLDFAST_POSTGRES_URL: task.url };
  const vault = await openVault({ home: task.home, env });
  const engine = await loadPostgresEngine({
    ...{
      url: async () => task.url,
      schema: task.schema,
      connections: 4,
      statementMs: 20_000,
      waitMs: 30_000,
    },
    ...{ clock: systemClock, random: secureRandom },
  });
  const slots = engine.table('bench_slots');
  const run = process.hrtime.bigint().toString(36);
  const oneOf = (many: number): number => secureRandom(2)[0]! % many;
  const bytesOf = (text: string | null) => (text === null ? undefined : new TextEncoder().encode(text));
  const changeSlot = async (id: string): Promise<void> => {
    const slot = `slot ${oneOf(task.names)}`;
    let expected: string | null = null;
    await tell(slot, { kind: 'read', saw: null }, async () => {
      const value = await slots.get(slot);
      expected = value === undefined ? null : Buffer.from(value).toString();
      return { kind: 'read', saw: expected };
    });
    const value = oneOf(10) === 0 ? null : id;
    await tell(slot, { kind: 'cas', expected, value, done: undefined }, async () => {
      const done = await slots.compareAndSet(slot, bytesOf(expected), bytesOf(value), { sync: true });
      return { kind: 'cas', expected, value, done };
    });
  };
  const step = async (lane: number, i: number): Promise<void> => {
    const id = `${task.writer}.${run}.${lane}.${i}`;
    const name = `name ${oneOf(task.names)}`;
    const dice = task.putsOnly ? 0 : oneOf(100);
    if (dice < 12) {
      const put = async () =>
        void (await vault.putObject(contentOf(id), { name: task.putsOnly ? id : name }));
      return tell(task.putsOnly ? id : name, { kind: 'write', value: id }, put);
    }
    if (dice < 15) {
      return tell(name, { kind: 'write', value: null }, async () => {
        try {
          await vault.deleteObject(name);
        } catch (error) {
          if (isNotFound(error)) return { kind: 'read', saw: null };
          throw error;
        }
        return undefined;
      });
    }
    if (dice < 35) {
      const nothing = { kind: 'read', saw: null } as const;
      return tell(name, nothing, async () => ({ kind: 'read', saw: await readName(vault, name) }));
    }
    for (let turn = 0; turn < SLOT_TURNS; turn++) await changeSlot(`${id}.${turn}`);
  };
  const lane = async (number: number): Promise<void> => {
    for (let i = 0; ; i++) await step(number, i);
  };
  process.stdout.write('{"ready":true}\n');
  await Promise.all(Array.from({ length: task.lanes }, (_, number) => lane(number)));
}

if (process.argv[2] !== undefined && import.meta.url.endsWith(process.argv[1]!.split('/').at(-1)!))
  await main(JSON.parse(process.argv[2]) as WriterTask);
