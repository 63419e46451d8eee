import { equalBytes, utf8Encode } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import type { ProviderProfile } from './profile.ts';

/** Version of the stored form; see docs/format/profile.md. */
export const PROFILE_VERSION = 1;

type Check = (value: unknown) => boolean;

const isAmount: Check = (value) => Number.isFinite(value) && (value as number) >= 0;
const isShare: Check = (value) => isAmount(value) && (value as number) <= 1;
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;

/** The fields in the order in which they are written. */
const FIELDS: Readonly<Record<keyof ProviderProfile, Check>> = {
  bw_ewma: isAmount,
  rtt_ewma: isAmount,
  loss_ewma: isShare,
  success_rate_ewma: isShare,
  preferred_chunk: (value) => isCount(value) && value !== 0,
  stable_chunks: isCount,
  recent_failures: isCount,
  total_chunks: isCount,
  total_failures: isCount,
  updated_at: isCount,
  maintenance: (value) => typeof value === 'boolean',
};
const NAMES = Object.keys(FIELDS) as (keyof ProviderProfile)[];

/** The same profile always gives the same bytes. */
export function encodeProfile(profile: ProviderProfile): Uint8Array {
  for (const name of NAMES) {
    if (!FIELDS[name](profile[name])) throw new TypeError(`${name} of a profile cannot be ${profile[name]}`);
  }
  return utf8Encode(JSON.stringify({ v: PROFILE_VERSION, ...canonical(profile) }));
}

/** Takes exactly what {@link encodeProfile} writes. @throws HoldfastError `Corrupt`. */
export function decodeProfile(bytes: Uint8Array): ProviderProfile {
  const parsed = parse(bytes);
  if (parsed.v !== PROFILE_VERSION) throw corrupt(`version ${String(parsed.v)} is not understood`);
  for (const name of NAMES) {
    if (!FIELDS[name](parsed[name])) throw corrupt(`${name} is missing or out of range`);
  }
  const profile = canonical(parsed as unknown as ProviderProfile);
  if (!equalBytes(encodeProfile(profile), bytes)) throw corrupt('it is not in canonical form');
  return profile;
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof parsed === 'object' && parsed !== null) return parsed as Record<string, unknown>;
  } catch (error) {
    throw corrupt('it is not JSON', error);
  }
  throw corrupt('it is not a JSON object');
}

/** Adding 0 turns −0, which JSON cannot tell from 0, into 0. */
function canonical(profile: ProviderProfile): ProviderProfile {
  const entries = NAMES.map((name) => {
    const value = profile[name];
    return [name, typeof value === 'number' ? value + 0 : value] as const;
  });
  return Object.fromEntries(entries) as unknown as ProviderProfile;
}

const corrupt = (why: string, cause?: unknown): HoldfastError =>
  new HoldfastError('Corrupt', `a stored provider profile cannot be read: ${why}`, {
    code: 'profile_corrupt',
    cause,
  });
