import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Config } from '../../config/types.ts';
import { toHex } from '../../core/bytes.ts';
import { secureRandom } from '../../core/random.ts';
import { describeCertificate } from '../../placement/certificate.ts';
import { makeHome } from '../../vault/create-vault.ts';
import { findConfig } from '../../vault/load-config.ts';
import { openVault } from '../../vault/open-vault.ts';
import type { Vault } from '../../vault/vault.ts';
import { EXIT } from '../exit-codes.ts';
import type { CliContext } from '../flags.ts';
import { bytes, counted, seconds, table } from '../format.ts';
import { type Io, output, print } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { openSource } from '../source-file.ts';

interface DemoFlags {
  readonly json: boolean;
  readonly file?: string;
  readonly keep: boolean;
}

const NAME = 'a real file';
const DESTROYED = ['p2', 'p5', 'p8'];
const MORE = ['p1', 'p9'];

interface Step {
  readonly step: string;
  readonly result: string;
  readonly ms: number;
}

/** The newcomer's first minute, with nothing simulated: folders are deleted for real. */
export default async function demo(this: CliContext, flags: DemoFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const home = await mkdtemp(join(tmpdir(), 'holdfast-demo-'));
    try {
      const config = await findConfig({ home, env: {}, cwd: home });
      const file = resolve(io.cwd, flags.file ?? process.execPath);
      const size = await sizeOf(file);
      if (!flags.json) print(io, `Nine providers under ${home}; the file is ${file}, ${bytes(size)}.\n`);
      const { steps, identical } = await play(io, config, file);
      output(io, flags.json, { identical, steps }, () =>
        [
          table([
            ['step', 'result', 'time'],
            ...steps.map(({ step, result, ms }) => [step, result, seconds(ms)]),
          ]),
          '',
          identical ? 'identical' : 'DIFFERENT',
        ].join('\n'),
      );
      return identical ? EXIT.done : EXIT.integrity;
    } finally {
      if (!flags.keep) await rm(home, { recursive: true, force: true });
    }
  });
}

async function play(io: Io, config: Config, file: string): Promise<{ steps: Step[]; identical: boolean }> {
  const steps: Step[] = [];
  const timed = async <T>(step: string, work: () => Promise<T>, say: (value: T) => string): Promise<T> => {
    const started = performance.now();
    const value = await work();
    steps.push({ step, result: say(value), ms: performance.now() - started });
    return value;
  };
  const passphrase = toHex(secureRandom(8));
  await timed(
    'init: key wrapped by a passphrase, nine folders',
    () => makeHome({ config, text: undefined }, passphrase),
    () => 'done',
  );
  const vault = await openVault({ config, passphrase });
  try {
    await timed(
      'put',
      () => putFile(io, vault, file),
      (put) => `stored ${bytes(put.stored)}; ${describeCertificate(put.certificate)}`,
    );
    await timed(
      `destroy ${DESTROYED.join(', ')}`,
      () => destroy(config, DESTROYED),
      () => 'folders deleted',
    );
    const identical = await timed(
      'get, compared byte by byte',
      () => sameAsFile(io, vault, file),
      (same) => (same ? 'identical' : 'DIFFERENT'),
    );
    await timed(
      'verify',
      () => vault.verifyObject(NAME, { signal: io.signal }),
      (found) =>
        `${counted(found.damageTotal, 'piece')} gone; ${describeCertificate(found.certificate.live)}`,
    );
    await timed(
      'take them for lost, and repair',
      () => repair(io, vault),
      ({ bytesRestored, bytesRead }) =>
        `${bytes(bytesRestored)} rebuilt elsewhere from ${bytes(bytesRead)} that were read`,
    );
    await timed(
      'verify again',
      () => vault.verifyObject(NAME, { signal: io.signal }),
      (found) =>
        `${counted(found.damageTotal, 'piece')} gone; ${describeCertificate(found.certificate.live)}`,
    );
    const still = await timed(
      `destroy ${MORE.join(' and ')} too, and get`,
      () => destroy(config, MORE).then(() => sameAsFile(io, vault, file)),
      (same) => (same ? 'identical' : 'DIFFERENT'),
    );
    return { steps, identical: identical && still };
  } finally {
    await vault.close();
  }
}

async function sizeOf(file: string): Promise<number> {
  const handle = await openSource(file);
  try {
    return (await handle.stat()).size;
  } finally {
    await handle.close();
  }
}

async function putFile(io: Io, vault: Vault, file: string): ReturnType<Vault['putObject']> {
  const handle = await open(file, 'r');
  try {
    return await vault.putObject(handle, { name: NAME, signal: io.signal });
  } finally {
    await handle.close();
  }
}

async function destroy(config: Config, ids: readonly string[]): Promise<void> {
  for (const provider of config.providers) {
    if (provider.adapter === 'fs' && ids.includes(provider.id)) await rm(provider.root, { recursive: true });
  }
}

async function sameAsFile(io: Io, vault: Vault, file: string): Promise<boolean> {
  const handle = await open(file, 'r');
  try {
    let position = 0;
    let same = true;
    const object = await vault.getObject(NAME, { signal: io.signal });
    for await (const piece of object.borrow()) {
      const original = Buffer.alloc(piece.length);
      const { bytesRead } = await handle.read(original, 0, piece.length, position);
      same &&= bytesRead === piece.length && original.equals(piece);
      position += piece.length;
    }
    return same && position === (await handle.stat()).size;
  } finally {
    await handle.close();
  }
}

async function repair(io: Io, vault: Vault): ReturnType<Vault['repair']> {
  for (const id of DESTROYED) await vault.providers.setLost(id, true, { signal: io.signal });
  return vault.repair({ signal: io.signal });
}
