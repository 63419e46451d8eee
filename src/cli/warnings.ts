import type { PutResult } from '../pipeline/put/put-result.ts';
import type { DomainLevel } from '../placement/domains.ts';
import type { Fork } from '../records/forks.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { bytes, counted } from './format.ts';
import { type Io, note } from './io.ts';

/** What a put that succeeded leaves to be told, most of it true of the next one too. */
export function putWarnings(result: PutResult): string[] {
  const { failedAttempts, leftOut, certificate, forks, stateBehind, unconfirmed } = result;
  return [
    ...failedAttempts.map(
      ({ provider, error }) => `warning: ${provider} did not take its shards, others did: ${error}`,
    ),
    ...leftOut.map(({ id, why }) => `warning: ${id} got no shards: ${why}`),
    ...(certificate.tolerates === 0 ? ['warning: losing a single provider would lose this object'] : []),
    ...(isNameShort(result) ? [nameText(result)] : []),
    ...(unconfirmed ? [`warning: ${UNCONFIRMED}`] : []),
    ...forks.map((fork) => `warning: ${forkText(fork)}`),
    ...(stateBehind ? [`warning: ${BEHIND}`] : []),
    ...(forks.length > 0 || stateBehind ? ['  Run `holdfast recover` to bring this state up to date.'] : []),
  ];
}

/** What became of what an earlier put of the same file had stored. */
export function resumeNotes({ resumedBytes, begunAnew, size }: PutResult): string[] {
  if (resumedBytes > 0)
    return [`resumed: ${bytes(resumedBytes)} of ${bytes(size)} were stored already, and were hashed again`];
  return begunAnew === undefined ? [] : [`begun anew, not resumed: ${begunAnew}`];
}

/** Whether losses that the object survives may take its name away. */
const isNameShort = ({ nameTolerates, certificate }: PutResult): boolean =>
  nameTolerates !== undefined && nameTolerates < certificate.tolerates;

/** What a put that succeeded exits with. */
export const exitOfPut = (result: PutResult): ExitCode =>
  isNameShort(result) || result.unconfirmed ? EXIT.nameAtRisk : EXIT.done;

const UNCONFIRMED =
  'too few providers heard of the change to tell that no copy of this home took the put for dead: the object is stored, and a later command asks again';

function nameText({ pointerCopies, nameTolerates, certificate }: PutResult): string {
  const later = 'the object is stored, and later commands copy the name to more';
  if (pointerCopies === 0)
    return `warning: no provider keeps a copy of the name, only the local state has it: ${later}`;
  const { level } = certificate.domains;
  return `warning: the name ${survivesText(nameTolerates!, level)}, and its object of any ${certificate.tolerates}: ${later}`;
}

/** Names of which a listing knows only that they are damaged: they are told once it has ended. */
export class DamagedNames {
  #count = 0;

  readonly onDamaged = (): void => {
    this.#count++;
  };

  /** @returns what the command exits with. */
  tell(io: Io): ExitCode {
    if (this.#count === 0) return EXIT.done;
    note(
      io,
      `warning: ${counted(this.#count, 'name')} cannot be read: the record in the local state is damaged; \`holdfast recover\` brings it back from the providers`,
    );
    return EXIT.integrity;
  }
}

/** What the copies of a name survive. */
export function survivesText(tolerates: number, level: DomainLevel): string {
  if (tolerates < 0) return 'only the local state has it';
  if (tolerates === 0) return `does not survive the loss of even one ${level}`;
  return `survives the loss of any ${counted(tolerates, level)}`;
}

/** Why what was replaced or removed is still there. */
export const BEHIND =
  'state_behind: the providers know of changes that this state has not seen, as after a restored backup or when another home has the same key; nothing is deleted until then';

/** A fork in one sentence, for people. */
export function forkText({ name, version, manifest, keptAs }: Fork): string {
  const found = `the providers had a version ${version} of "${name}" that this state did not know of`;
  if (manifest === undefined) return `${found}: it had been removed there`;
  if (keptAs === undefined) return `${found}; its content (${manifest}) was kept once and removed since`;
  return `${found}; its content is kept as "${keptAs}"`;
}
