import { utf8Encode } from '../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import type { Engine, Table } from '../engine/index.ts';
import type { VaultKeys } from '../keys/derivation.ts';
import { openPointer } from '../manifest/pointer.ts';
import { VAULT_TABLE } from '../records/generation-record.ts';
import { NAMES_TABLE } from '../records/name-record.ts';

const ID = 'id';
const VAULT_ID = /^[0-9a-f]{16}$/;

/**
 * Binds the state to the vault whose names it holds, so that a key file put in place of another is not used. A state
 * whose id is another, damaged or not there yet is asked whether a name in it opens.
 * @throws HoldfastError `PermissionDenied`, code `wrong_vault`: nothing was read or written under the other key.
 */
export async function pinVault(engine: Engine, keys: VaultKeys): Promise<void> {
  const table = engine.table(VAULT_TABLE);
  const pinned = await readId(table);
  if (pinned.id === keys.id) return;
  const names = await namesAskedFor(engine, keys);
  // A name that opens proves more than the id says, which a disk may have damaged.
  if (names !== 'open' && (names === 'closed' || pinned.id !== undefined))
    throw wrongVault(pinned.id === undefined ? 'another vault' : `vault ${pinned.id}`, keys.id);
  const mine = utf8Encode(keys.id);
  if (pinned.isDamaged) await table.put(ID, mine, { sync: true });
  // Of two that open a new home at the same time the first one's stands.
  else if (!(await table.compareAndSet(ID, pinned.stored, mine, { sync: true })))
    await pinVault(engine, keys);
}

interface PinnedId {
  readonly stored?: Uint8Array | undefined;
  /** Undefined where there is none, and where what stands there is none. */
  readonly id?: string | undefined;
  /** It cannot even be compared with. */
  readonly isDamaged?: boolean;
}

async function readId(table: Table): Promise<PinnedId> {
  try {
    const stored = await table.get(ID);
    const id = stored && Buffer.from(stored).toString('latin1');
    return { stored, id: id !== undefined && VAULT_ID.test(id) ? id : undefined };
  } catch (error) {
    if (!isHoldfastError(error, 'Corrupt')) throw error;
    return { isDamaged: true };
  }
}

/** A damaged name alone must not lock anyone out. */
const NAMES_ASKED = 16;

/** Whether the key opens one of the names. */
async function namesAskedFor(engine: Engine, keys: VaultKeys): Promise<'open' | 'closed' | 'none'> {
  let found: 'closed' | 'none' = 'none';
  const some = { limit: NAMES_ASKED, onDamaged: () => {} };
  for await (const [key, sealed] of engine.table(NAMES_TABLE).entries(some)) {
    found = 'closed';
    try {
      openPointer(sealed, key, keys.pointer);
      return 'open';
    } catch {
      // Damaged, or another vault's.
    }
  }
  return found;
}

function wrongVault(owner: string, id: string): HoldfastError {
  return new HoldfastError(
    'PermissionDenied',
    `this home belongs to ${owner}, and the key is that of vault ${id}`,
    {
      code: 'wrong_vault',
      hint: 'Put the key file back that this home was made with, or use another --home for the other vault. Nothing was changed.',
    },
  );
}
