import type { PutResult } from '../pipeline/put/put.ts';
import type { Fork } from '../records/forks.ts';
import { counted } from './format.ts';

/** What a put that succeeded leaves to be told, most of it true of the next one too. */
export function putWarnings(result: PutResult): string[] {
  const { failedAttempts, leftOut, certificate, name, pointerCopies, forks } = result;
  return [
    ...failedAttempts.map(
      ({ provider, error }) => `warning: ${provider} did not take its shards, others did: ${error}`,
    ),
    ...leftOut.map(({ id, why }) => `warning: ${id} got no shards: ${why}`),
    ...(certificate.tolerates === 0 ? ['warning: losing a single provider would lose this object'] : []),
    ...(name !== undefined && pointerCopies === 0
      ? ['warning: no provider keeps a copy of the name: only the local state has it']
      : []),
    ...(name !== undefined && pointerCopies > 0 && pointerCopies <= certificate.tolerates
      ? [
          `warning: only ${counted(pointerCopies, 'provider')} took a copy of the name, fewer than the object has; later commands try again`,
        ]
      : []),
    ...forks.map((fork) => `warning: ${forkText(fork)}`),
    ...(forks.length > 0 ? ['  Run `holdfast recover` to bring this state up to date.'] : []),
  ];
}

/** A fork in one sentence, for people. */
export function forkText({ name, version, manifest, keptAs }: Fork): string {
  const found = `the providers had a version ${version} of "${name}" that this state did not know of`;
  if (manifest === undefined) return `${found}: it had been removed there`;
  if (keptAs === undefined) return `${found}; its content (${manifest}) was kept once and removed since`;
  return `${found}; its content is kept as "${keptAs}"`;
}
