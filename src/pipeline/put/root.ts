import type { BlobAddress } from '../../core/address.ts';
import { recordedTime } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { encodeRoot, type RootInput } from '../../manifest/root.ts';
import { type Certificate, certify } from '../../placement/certificate.ts';
import { NOT_PLACED } from '../../placement/domains.ts';
import { requireTolerance } from './plan.ts';
import type { PutSession } from './session.ts';

export interface StoredRoot {
  readonly bytes: Uint8Array;
  readonly address: BlobAddress;
  readonly certificate: Certificate;
  readonly createdMs: number;
}

/** What the root says of the object, its shards being stored. */
export interface RootContent {
  readonly body: RootInput['body'];
  readonly chunks: number;
  /** Length of the longest chunk, as its shards make it up. */
  readonly chunkLen: number;
  readonly size: number;
  readonly plainHash: Uint8Array;
  readonly name: string | undefined;
  readonly contentType: string;
}

/**
 * Certifies where the shards ended up, and stores the root of the manifest.
 * @param seal the object's key, and the key that wraps it.
 * @throws HoldfastError `PermissionDenied` (`certificate_shortfall`); `Unavailable` (`not_enough_providers`).
 */
export async function storeRoot(
  session: PutSession,
  content: RootContent,
  seal: { readonly objectKey: Uint8Array; readonly wrap: Uint8Array },
): Promise<StoredRoot> {
  const { context, code, placements, failures, objectId } = session;
  const { failureDomain, compression } = context.policy;
  const { placed, recorded } = placements;
  const certificate = certify({ code, providers: placed, failureDomain, placements: recorded });
  requireTolerance(certificate, session.minTolerates, failures.lines);
  const { body, chunks, chunkLen, size, plainHash, name, contentType } = content;
  const createdMs = recordedTime(context.clock);
  const bytes = encodeRoot(
    {
      objectId,
      code: code.params,
      compression,
      chunkLen,
      chunks,
      providers: [...new Set(recorded.flatMap((map) => [...map]))]
        .flatMap((place) => (place === NOT_PLACED ? [] : [placed[place]!.id]))
        .sort(),
      certificate,
      body,
      secrets: { name, contentType, size, plainHash, createdMs },
    },
    seal.objectKey,
    seal.wrap,
    context.random,
  );
  const { address } = await session.storeNode(bytes);
  return { bytes, address, certificate, createdMs };
}

/** What a manifest is read with: see docs/format/manifest.md. */
const MAX_LENGTH = 256;

/** @throws HoldfastError `ConfigInvalid` (`bad_content_type`): a manifest that held it could not be read again. */
export function checkContentType(type: string): string {
  const problem =
    type.length > MAX_LENGTH
      ? `has ${type.length} characters, at most ${MAX_LENGTH} are allowed`
      : /\p{Cc}/u.test(type)
        ? 'has control characters'
        : undefined;
  if (problem === undefined) return type;
  throw new HoldfastError('ConfigInvalid', `the content type ${problem}`, {
    code: 'bad_content_type',
    hint: 'Give a media type such as text/plain or image/png. Nothing was stored.',
  });
}
