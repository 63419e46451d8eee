import { describePolicy } from '../../config/rollout.ts';
import { toHex } from '../../core/bytes.ts';
import { Cid } from '../../manifest/cid.ts';
import { decodeNode } from '../../manifest/dag-cbor.ts';
import { decodeRoot, type FallbackUse, fallbacksIn } from '../../manifest/root.ts';
import { DamageLog } from '../../object/damage.ts';
import { describeCertificate } from '../../placement/certificate.ts';
import { loadRoot } from '../../records/manifests.ts';
import { resolveReference } from '../../records/names.ts';
import { internalsOf } from '../../vault/opened-vault.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { isoTime, table } from '../format.ts';
import { note, output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

interface ManifestsFlags extends CommonFlags {
  readonly limit: number;
}

export async function list(this: CliContext, flags: ManifestsFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const { found, policy } = await withVault(io, flags, async (vault) => {
      const entries = [];
      for await (const entry of vault.listManifests({ limit: flags.limit + 1, signal: io.signal })) {
        entries.push(entry);
      }
      return { found: entries, policy: internalsOf(vault).config.policy };
    });
    const more = found.length > flags.limit;
    if (more) found.pop();
    output(io, flags.json, found, () => {
      const rows = table([
        ['stored', 'chunks', 'code', 'codec', 'fallback', 'tolerates', 'manifest'],
        ...found.map((entry) => [
          isoTime(entry.storedMs),
          entry.chunks,
          entry.code,
          entry.compression,
          fallbackText(entry.fallback),
          entry.certificate.tolerates,
          entry.manifest,
        ]),
      ]);
      return [rows, '', ...describePolicy(policy).map((line) => `In force: ${line}.`)].join('\n');
    });
    if (more) note(io, `There are more: --limit says how many of the newest are listed, now ${flags.limit}.`);
    return undefined;
  });
}

/** Shows the public part: what repair, nodes and anyone else can see. */
export async function show(this: CliContext, flags: CommonFlags, reference: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const { address, bytes } = await withVault(io, flags, async (vault) => {
      const { context } = internalsOf(vault);
      const { manifest } = await resolveReference(context, reference, { signal: io.signal });
      return {
        address: manifest,
        bytes: await loadRoot(context, manifest, new DamageLog(), { signal: io.signal }),
      };
    });
    const root = decodeRoot(bytes);
    const data = {
      manifest: address,
      bytes: bytes.length,
      ...(plain(decodeNode(bytes)) as Record<string, unknown>),
    };
    output(io, flags.json, data, () =>
      [
        `manifest     ${address}, ${bytes.length} bytes`,
        `object       ${toHex(root.objectId)}`,
        `code         ${root.certificate.code}, ${root.compression}`,
        `fallback     ${fallbackText(fallbacksIn(root))}`,
        `chunks       ${root.chunks}, the longest ${root.chunkLen} bytes`,
        `body         ${'links' in root.body ? `${root.body.links.length} links, depth ${root.body.depth}` : 'one segment, inside'}`,
        `providers    ${root.providers.join(', ')}`,
        `certificate  ${describeCertificate(root.certificate)}`,
        'Everything else is sealed. --json prints every public field.',
      ].join('\n'),
    );
    return undefined;
  });
}

/** What was written by what only stands in for another is to be seen at a glance. */
const fallbackText = ({ erasure, compression }: FallbackUse): string =>
  [erasure && 'CODER', compression && 'COMPRESSOR'].filter(Boolean).join(' and ') || '-';

/** DAG-CBOR as JSON: bytes in hex, links as addresses. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value);
  if (value instanceof Cid) return value.address;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, plain(entry)]));
  }
  return value;
}
