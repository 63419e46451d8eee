import type { AbortOptions } from '../core/abort.ts';
import { utf8Decode, utf8Encode } from '../core/bytes.ts';
import { isCount } from '../core/counts.ts';
import type { Engine } from '../engine/engine.ts';

/** `<provider>` → since when the operator has taken it for gone for good. See docs/format/records.md. */
const LOST_TABLE = 'lost_providers';

/** Flushed: what is repaired on this word is not to be undone by a power cut. */
export async function declareLost(
  { engine }: { readonly engine: Engine },
  provider: string,
  sinceMs: number | undefined,
  options: AbortOptions = {},
): Promise<void> {
  const table = engine.table(LOST_TABLE);
  if (sinceMs === undefined) await table.delete(provider, { sync: true, ...options });
  else {
    const record = utf8Encode(JSON.stringify({ v: 1, since: sinceMs }));
    await table.put(provider, record, { sync: true, ...options });
  }
}

/** Those that were declared lost, and when. A damaged record says that, and not when: 0. */
export async function declaredLost(
  { engine }: { readonly engine: Engine },
  options: AbortOptions = {},
): Promise<Map<string, number>> {
  const lost = new Map<string, number>();
  const onDamaged = (provider: string): void => void lost.set(provider, 0);
  for await (const [provider, value] of engine.table(LOST_TABLE).entries({ ...options, onDamaged })) {
    lost.set(provider, sinceIn(value));
  }
  return lost;
}

function sinceIn(value: Uint8Array): number {
  try {
    const { since } = JSON.parse(utf8Decode(value)) as Record<string, unknown>;
    return isCount(since) ? (since as number) : 0;
  } catch {
    return 0;
  }
}
