import type { Fork } from '../records/forks.ts';

/** A fork in one sentence, for people. */
export function forkText({ name, version, manifest, keptAs }: Fork): string {
  const found = `the providers had a version ${version} of "${name}" that this state did not know of`;
  if (manifest === undefined) return `${found}: it had been removed there`;
  if (keptAs === undefined) return `${found}; its content (${manifest}) was kept once and removed since`;
  return `${found}; its content is kept as "${keptAs}"`;
}
