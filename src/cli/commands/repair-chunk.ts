import type { ChunkRepairResult } from '../../upkeep/repair/repair-chunk.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted, isoTime } from '../format.ts';
import { output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

interface ChunkFlags extends CommonFlags {
  readonly force: boolean;
}

/** Where the object is given by its address it needs no key, and asks for none. */
export default async function repairChunk(
  this: CliContext,
  flags: ChunkFlags,
  reference: string,
  chunk: number,
): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const sealed = reference.startsWith('b3:');
    const { force } = flags;
    const result = await withVault(io, { ...flags, sealed }, (vault) =>
      vault.repairChunk(reference, chunk, { force, signal: io.signal }),
    );
    output(io, flags.json, result, () => [...describe(result)].join('\n'));
    return EXITS[result.status];
  });
}

const EXITS: Readonly<Record<ChunkRepairResult['status'], ExitCode>> = {
  intact: EXIT.done,
  success: EXIT.done,
  failure: EXIT.notEnough,
  fatal: EXIT.integrity,
};

function* describe(result: ChunkRepairResult): Generator<string> {
  const { manifest, chunk, status, shards, bytesRestored, bytesRead, error, nextMs } = result;
  if (status === 'intact') return yield `nothing of chunk ${chunk} of ${manifest} is known to be lost`;
  yield `${status.padEnd(12)} chunk ${chunk} of ${manifest}, ${counted(shards, 'shard')}`;
  yield `written      ${bytes(bytesRestored)}`;
  yield `read         ${bytes(bytesRead)}`;
  if (error !== undefined) yield `why          ${error}`;
  if (nextMs !== undefined) yield `again        not before ${isoTime(nextMs)}`;
}
