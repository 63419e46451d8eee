import type { AbortOptions } from '../../core/abort.ts';
import { utf8Decode, utf8Encode } from '../../core/bytes.ts';
import { isCount } from '../../core/counts.ts';
import { isHoldfastError } from '../../core/errors.ts';
import type { Engine } from '../../engine/engine.ts';
import { UPKEEP_TABLE } from '../../records/usage.ts';
import type { AuditResult, ProviderAudit } from './audit.ts';

/** An audit that was made. */
export interface PastAudit extends Pick<AuditResult, 'challenges' | 'whole'> {
  /** When it ended, in milliseconds since 1970. */
  readonly atMs: number;
  readonly providers: readonly ProviderAudit[];
}

const KEY = 'audits';
/** The latest that are remembered. */
const MAX_KEPT = 16;
/** Others may write it meanwhile so often. */
const MAX_ROUNDS = 8;
const STATES: readonly unknown[] = ['passed', 'failed', 'silent', 'nothing'];

/** The latest audits, the newest first. None where what was kept is damaged: it is for people, and nothing depends on it. */
export async function pastAudits(
  { engine }: { readonly engine: Engine },
  options: AbortOptions = {},
): Promise<readonly PastAudit[]> {
  const stored = await storedAudits(engine, options);
  return stored === 'damaged' ? [] : auditsIn(stored);
}

/** Not flushed: what a crash loses is not missed. */
export async function rememberAudit(
  { engine }: { readonly engine: Engine },
  audit: PastAudit,
  options: AbortOptions = {},
): Promise<void> {
  const table = engine.table(UPKEEP_TABLE);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const stored = await storedAudits(engine, options);
    const before = stored === 'damaged' ? [] : auditsIn(stored);
    const audits = [audit, ...before].slice(0, MAX_KEPT).map(({ atMs, challenges, whole, providers }) => {
      return { at: atMs, challenges, whole, providers };
    });
    const next = utf8Encode(JSON.stringify({ v: 1, audits }));
    if (stored === 'damaged') return table.put(KEY, next, options);
    if (await table.compareAndSet(KEY, stored, next, options)) return;
  }
}

async function storedAudits(
  engine: Engine,
  options: AbortOptions,
): Promise<Uint8Array | 'damaged' | undefined> {
  try {
    return await engine.table(UPKEEP_TABLE).get(KEY, options);
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return 'damaged';
    throw error;
  }
}

function auditsIn(stored: Uint8Array | undefined): PastAudit[] {
  if (stored === undefined) return [];
  try {
    const { v, audits } = JSON.parse(utf8Decode(stored)) as { v: unknown; audits: unknown };
    return v === 1 && Array.isArray(audits) ? audits.flatMap(auditIn) : [];
  } catch {
    return [];
  }
}

/** What of it is not as it should be is left out. */
function auditIn(record: Readonly<Record<string, unknown>>): PastAudit[] {
  const { at, challenges, whole, providers } = record ?? {};
  const right = isCount(at) && isCount(challenges) && typeof whole === 'boolean' && Array.isArray(providers);
  return right ? [{ atMs: at, challenges, whole, providers: providers.filter(isProviderAudit) }] : [];
}

function isProviderAudit(value: unknown): value is ProviderAudit {
  const { provider, state, challenges, right, missing, corrupt, unanswered, bytes } = (value ?? {}) as Record<
    string,
    unknown
  >;
  const counts = [challenges, right, missing, corrupt, unanswered, bytes];
  return typeof provider === 'string' && STATES.includes(state) && counts.every(isCount);
}
