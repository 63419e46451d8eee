import { HoldfastError } from '../../core/errors.ts';
import { describeCertificate } from '../../placement/certificate.ts';
import type { DeepResult } from '../../upkeep/deep.ts';
import type { VerifyResult } from '../../upkeep/verify.ts';
import { describeDamage } from '../damage-text.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted } from '../format.ts';
import { output } from '../io.ts';
import { chunks, Progress } from '../progress.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

export interface VerifyFlags extends CommonFlags {
  readonly all: boolean;
  readonly deep: boolean;
}

export default async function verify(
  this: CliContext,
  flags: VerifyFlags,
  reference: string | undefined,
): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    if (flags.all) {
      const { verifyAll } = await import('./verify-all.ts');
      return verifyAll(io, flags, reference ?? '');
    }
    if (reference === undefined) throw nothingNamed();
    const progress = new Progress(io, 'verify', flags.json, chunks);
    const result = await withVault(io, flags, (vault) =>
      vault.verify(reference, {
        signal: io.signal,
        deep: flags.deep,
        onProgress: ({ chunks: done, of }) => progress.update(done, of),
      }),
    ).finally(() => progress.end());
    output(io, flags.json, result, () => describe(result));
    return codeOf(result);
  });
}

/** 0 intact; 5 damaged but readable where bytes are wrong, 4 where shards are only missing or nothing is readable. */
export function codeOf(result: VerifyResult): ExitCode {
  if (result.intact) return EXIT.done;
  return result.corrupt ? EXIT.integrity : EXIT.notEnough;
}

export const verdictOf = ({ intact, readable }: VerifyResult): string =>
  intact ? 'intact' : readable ? 'damaged, readable' : 'damaged, NOT readable';

function nothingNamed(): HoldfastError {
  return new HoldfastError('ConfigInvalid', 'which object is to be verified?', {
    code: 'nothing_named',
    hint: 'Give a name or the address of a manifest, or --all.',
  });
}

function describeDeep({ plainBytes, chunksWithWrongParity, problem }: DeepResult): string[] {
  return [
    `content      ${problem === undefined ? `${bytes(plainBytes)} decrypted, as they were put` : problem.message}`,
    ...(chunksWithWrongParity === 0
      ? []
      : [`parity       wrong in ${counted(chunksWithWrongParity, 'chunk')}: put the object again`]),
  ];
}

function describe(result: VerifyResult): string {
  const { certificate, nodes } = result;
  return [
    `${result.name ?? result.manifest}: ${verdictOf(result)}`,
    `checked      ${counted(result.shards, 'shard')} of ${counted(result.chunks, 'chunk')}, ${bytes(result.bytesRead)} read`,
    `manifest     ${counted(nodes.total, 'node')}, each at ${nodes.leastCopies} or more providers`,
    `certificate  ${describeCertificate(certificate.live)}`,
    ...(certificate.live.tolerates === certificate.stored.tolerates
      ? []
      : [`as it was    ${describeCertificate(certificate.stored)}`]),
    ...(result.deep === undefined ? [] : describeDeep(result.deep)),
    ...describeDamage(result.damage).map((line) => `  - ${line}`),
  ].join('\n');
}
