import { Fields } from './fields.ts';

/** What an object's placement survived when it was put: computed, not estimated. See `docs/format/certificate.md`. */
export interface CertificateRecord {
  /** The code's name, e.g. `lrc(16+5+3+3w)`. */
  readonly code: string;
  /** Providers that hold at least one shard. */
  readonly providers: number;
  /** The level at which losses are counted, and how many domains of it hold a shard. */
  readonly domains: { readonly level: (typeof LEVELS)[number]; readonly count: number };
  /** Any this many domains may vanish together. */
  readonly tolerates: number;
  /** Labels of a smallest set of domains whose loss is fatal. */
  readonly worst_case: readonly string[];
}

export const LEVELS = ['provider', 'account', 'region'] as const;
const MAX_DOMAINS = 255;

export function certificateFields(certificate: CertificateRecord): Record<string, unknown> {
  const { code, providers, domains, tolerates, worst_case } = certificate;
  return {
    code,
    providers,
    domains: { level: domains.level, count: domains.count },
    tolerates,
    worst_case: [...worst_case],
  };
}

/** @throws HoldfastError `Corrupt` */
export function readCertificate(value: unknown): CertificateRecord {
  const fields = new Fields(value, 'certificate');
  const domains = new Fields(fields.take('domains'), 'certificate domains');
  const certificate: CertificateRecord = {
    code: fields.text('code', 128),
    providers: fields.uint('providers', MAX_DOMAINS),
    domains: { level: domains.oneOf('level', LEVELS), count: domains.uint('count', MAX_DOMAINS) },
    tolerates: fields.uint('tolerates', MAX_DOMAINS),
    worst_case: fields.list('worst_case', MAX_DOMAINS, (label) => {
      if (typeof label !== 'string' || label.length > 1024) throw fields.bad('worst_case', 'domain labels');
      return label;
    }),
  };
  domains.end();
  fields.end();
  return certificate;
}
