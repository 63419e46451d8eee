import { equalBytes, utf8Encode } from '../core/bytes.ts';
import { isCount } from '../core/counts.ts';
import { HoldfastError } from '../core/errors.ts';
import type { ProviderProfile } from './profile.ts';
import { FIRST_SAMPLES } from './profile.ts';

/** Version of the stored form that is written; see docs/format/profile.md. */
const PROFILE_VERSION = 2;

type Check = (value: unknown) => boolean;

const isAmount: Check = (value) => Number.isFinite(value) && (value as number) >= 0;
const isShare: Check = (value) => isAmount(value) && (value as number) <= 1;
/** The fields in the order in which they are written. */
const FIELDS: Readonly<Record<keyof ProviderProfile, Check>> = {
  bw_ewma: isAmount,
  rtt_ewma: isAmount,
  rtt_samples: (value) => isCount(value) && (value as number) <= FIRST_SAMPLES,
  loss_ewma: isShare,
  success_rate_ewma: isShare,
  preferred_chunk: (value) => isCount(value) && value !== 0,
  stable_chunks: isCount,
  recent_failures: isCount,
  recent_slow: isCount,
  total_chunks: isCount,
  total_failures: isCount,
  total_slow: isCount,
  total_lies: isCount,
  failed_at: isCount,
  slow_at: isCount,
  lied_at: isCount,
  probed_at: isCount,
  silent_since: isCount,
  updated_at: isCount,
  maintenance: (value) => typeof value === 'boolean',
};
type Field = keyof ProviderProfile;
const NAMES = Object.keys(FIELDS) as Field[];
/** Fields that came with version 2. */
const NEW_IN_2: ReadonlySet<Field> = new Set([
  'rtt_samples',
  'recent_slow',
  'total_slow',
  'total_lies',
  'failed_at',
  'slow_at',
  'lied_at',
  'probed_at',
  'silent_since',
]);
const NAMES_OF_1 = NAMES.filter((name) => !NEW_IN_2.has(name));
/** Most profiles do not say how many samples their round trip is of: none, or all of the first. */
const NAMES_SETTLED = NAMES.filter((name) => name !== 'rtt_samples');

/** The same profile always gives the same bytes. */
export function encodeProfile(profile: ProviderProfile): Uint8Array {
  for (const name of NAMES) {
    if (!FIELDS[name](profile[name])) throw new TypeError(`${name} of a profile cannot be ${profile[name]}`);
  }
  const { rtt_ewma, rtt_samples } = profile;
  if ((rtt_samples === 0) !== (rtt_ewma === 0)) {
    throw new TypeError(`an RTT of ${rtt_ewma} cannot be that of ${rtt_samples} samples`);
  }
  const settled = rtt_samples === settledSamples(profile);
  return encoded(PROFILE_VERSION, canonical(profile, settled ? NAMES_SETTLED : NAMES));
}

/** Takes exactly what {@link encodeProfile} writes, or wrote in version 1. @throws HoldfastError `Corrupt`. */
export function decodeProfile(bytes: Uint8Array): ProviderProfile {
  const parsed = parse(bytes);
  if (parsed.v !== 1 && parsed.v !== PROFILE_VERSION)
    throw corrupt(`version ${String(parsed.v)} is not understood`);
  const settled = !('rtt_samples' in parsed);
  const names = parsed.v === 1 ? NAMES_OF_1 : settled ? NAMES_SETTLED : NAMES;
  for (const name of names) {
    if (!FIELDS[name](parsed[name])) throw corrupt(`${name} is missing or out of range`);
  }
  const fields = canonical(parsed as Partial<ProviderProfile>, names);
  if (!equalBytes(encoded(parsed.v, fields), bytes)) throw corrupt('it is not in canonical form');
  const told = parsed.v === 1 ? fromVersion1(fields as ProviderProfile) : (fields as ProviderProfile);
  if (settled) return { ...told, rtt_samples: settledSamples(told) };
  if (told.rtt_ewma === 0 || told.rtt_samples === 0 || told.rtt_samples === FIRST_SAMPLES) {
    throw corrupt('it names a number of samples that goes without saying');
  }
  return told;
}

/** What is meant where the number is left out. */
const settledSamples = ({ rtt_ewma }: ProviderProfile): number => (rtt_ewma === 0 ? 0 : FIRST_SAMPLES);

/** Version 1 told neither the kinds of failure apart nor when they were: the last observation errs on the safe side. */
function fromVersion1(fields: ProviderProfile): ProviderProfile {
  const failed_at = fields.recent_failures > 0 ? fields.updated_at : 0;
  const times = { failed_at, slow_at: 0, lied_at: 0, probed_at: 0, silent_since: 0 };
  return { ...fields, recent_slow: 0, total_slow: 0, total_lies: 0, ...times };
}

const encoded = (v: number, fields: Partial<ProviderProfile>): Uint8Array =>
  utf8Encode(JSON.stringify({ v, ...fields }));

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof parsed === 'object' && parsed !== null) return parsed as Record<string, unknown>;
  } catch (error) {
    throw corrupt('it is not JSON', error);
  }
  throw corrupt('it is not a JSON object');
}

/** In order. Adding 0 turns −0, which JSON cannot tell from 0, into 0. */
function canonical(profile: Partial<ProviderProfile>, names: readonly Field[]): Partial<ProviderProfile> {
  const entries = names.map((name) => {
    const value = profile[name];
    return [name, typeof value === 'number' ? value + 0 : value] as const;
  });
  return Object.fromEntries(entries);
}

const corrupt = (why: string, cause?: unknown): HoldfastError =>
  new HoldfastError('Corrupt', `a stored provider profile cannot be read: ${why}`, {
    code: 'profile_corrupt',
    cause,
  });
