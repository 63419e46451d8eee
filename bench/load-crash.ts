import { randomFillSync } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Area } from './area.ts';
import { hexOf, makeRoot } from './load-blobs.ts';
import { createClient } from './load-client.ts';
import { startHoldfast } from './load-servers.ts';

const PUTS = 1_000;
const WRITERS = 16;
const MAX_BYTES = 300_000;
/** Killed when this share has been acknowledged. */
const KILL_AT = [0.1, 0.35, 0.6, 0.85, 1];

/** What is left of 1,000 puts after `kill -9` in the middle, five times. */
export interface CrashFigure {
  readonly puts: number;
  readonly kills: number;
  readonly acknowledged: number;
  /** Of these, there after the last restart with the right bytes. */
  readonly found: number;
  readonly lost: number;
  /** Listed, but not to be had with the bytes of its address. */
  readonly wrong: number;
  /** Files of puts that were cut off; never visible. */
  readonly leftovers: number;
}

export async function benchCrash(area: Area, say: (text: string) => void): Promise<CrashFigure> {
  const root = await makeRoot(area.dir);
  const blobs = Array.from({ length: PUTS }, (_, i) =>
    randomFillSync(new Uint8Array(1000 + ((i * 7919) % MAX_BYTES))),
  );
  const queue = blobs.map((bytes) => ({ hex: hexOf(bytes), bytes }));
  const acknowledged = new Set<string>();
  for (const share of KILL_AT) {
    say(`until ${share * 100} % are acknowledged`);
    const node = await startHoldfast(root);
    const client = createClient(node.url, WRITERS);
    let killed = false;
    const write = async (): Promise<void> => {
      while (!killed) {
        const next = queue.pop();
        if (next === undefined) return;
        const { status } = await client.ask(node.pathOf(next.hex), { method: 'PUT', body: next.bytes });
        if (status === 201 || status === 200) acknowledged.add(next.hex);
        else queue.unshift(next);
        if (acknowledged.size >= share * PUTS && !killed) {
          killed = true;
          process.kill(node.pid, 'SIGKILL');
        }
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, write));
    client.close();
    await node.stop('SIGKILL');
  }
  return { puts: PUTS, kills: KILL_AT.length, ...(await look(root, acknowledged)) };
}

async function look(
  root: string,
  acknowledged: ReadonlySet<string>,
): Promise<Omit<CrashFigure, 'puts' | 'kills'>> {
  const leftovers = (await readdir(join(root, 'tmp'))).length;
  const node = await startHoldfast(root);
  const client = createClient(node.url, 1);
  try {
    const { body } = await client.ask('/o?limit=10000');
    const listed = (JSON.parse(String(body)) as { addresses: string[] }).addresses.map((address) =>
      address.slice(3),
    );
    let wrong = 0;
    const good = new Set<string>();
    for (const hex of listed) {
      const answer = await client.ask(node.pathOf(hex));
      if (answer.status === 200 && hexOf(answer.body) === hex) good.add(hex);
      else wrong++;
    }
    const found = [...acknowledged].filter((hex) => good.has(hex)).length;
    return { acknowledged: acknowledged.size, found, lost: acknowledged.size - found, wrong, leftovers };
  } finally {
    client.close();
    await node.stop();
  }
}

export const renderCrash = (figure: CrashFigure): string =>
  `${figure.puts} puts, kill -9 ${figure.kills} times in the middle: ${figure.acknowledged} acknowledged, ` +
  `${figure.found} of them there and right, ${figure.lost} lost, ${figure.wrong} wrong or partial visible; ` +
  `${figure.leftovers} unfinished files, none visible`;
