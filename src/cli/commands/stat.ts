import { describeCertificate } from '../../placement/certificate.ts';
import type { ObjectStat } from '../../upkeep/stat.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted, isoTime } from '../format.ts';
import { output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { survivesText } from '../warnings.ts';
import { withVault } from '../with-vault.ts';

export default async function stat(this: CliContext, flags: CommonFlags, reference: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const found = await withVault(io, flags, (vault) => vault.statObject(reference, { signal: io.signal }));
    output(io, flags.json, found, () =>
      [
        `name         ${found.name ?? '(none)'}`,
        `manifest     ${found.manifest}`,
        `size         ${found.size} (${bytes(found.size)}) in ${counted(found.chunks, 'chunk')}`,
        `type         ${found.contentType}`,
        `created      ${isoTime(found.createdMs)}${found.version > 0 ? `, version ${found.version} of the name` : ''}`,
        `code         ${found.code}, ${found.compression}`,
        `providers    ${found.providers.join(', ')}`,
        `certificate  ${describeCertificate(found.certificate)}`,
        ...nowOf(found),
        ...nameOf(found),
      ].join('\n'),
    );
    return undefined;
  });
}

/** Where providers have left since it was put. */
function nowOf({ live: { certificate, without } }: ObjectStat): string[] {
  if (without.length === 0) return [];
  return [
    `now          ${describeCertificate(certificate)}, not counting ${without.join(', ')}: gone or silent`,
  ];
}

/** Where the name is kept, and whether it outlives what the object does. */
function nameOf({ nameCopies, certificate }: ObjectStat): string[] {
  if (nameCopies === undefined) return [];
  const { providers, tolerates, unconfirmed } = nameCopies;
  const { level } = certificate.domains;
  const kept = providers.length === 0 ? 'no provider' : providers.join(', ');
  const silent = unconfirmed.length === 0 ? '' : `; ${unconfirmed.join(', ')} did not say`;
  const short = tolerates < certificate.tolerates ? ', fewer than the object' : '';
  return [`name at      ${kept}: ${survivesText(tolerates, level)}${short}${silent}`];
}
