import { utf8Decode, utf8Encode } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import type { Engine } from '../engine/index.ts';
import type { VaultKeys } from '../keys/derivation.ts';
import { openPointer } from '../manifest/pointer.ts';
import { VAULT_TABLE } from '../records/generation-record.ts';
import { NAMES_TABLE } from '../records/name-record.ts';

const ID = 'id';

/**
 * Binds the state to the vault whose names it holds, so that a key file put in place of another is not used. A state
 * that knows no id yet is asked whether a name in it opens.
 * @throws HoldfastError `PermissionDenied`, code `wrong_vault`: nothing was read or written under the other key.
 */
export async function pinVault(engine: Engine, keys: VaultKeys): Promise<void> {
  const table = engine.table(VAULT_TABLE);
  const pinned = await table.get(ID);
  if (pinned !== undefined) {
    const id = utf8Decode(pinned);
    if (id !== keys.id) throw wrongVault(`vault ${id}`, keys.id);
    return;
  }
  if (!(await opensItsNames(engine, keys))) throw wrongVault('another vault', keys.id);
  // Of two that open a new home at the same time the first one's stands.
  const mine = utf8Encode(keys.id);
  if (!(await table.compareAndSet(ID, undefined, mine, { sync: true }))) await pinVault(engine, keys);
}

/** A damaged name alone must not lock anyone out. */
const NAMES_ASKED = 16;

async function opensItsNames(engine: Engine, keys: VaultKeys): Promise<boolean> {
  let asked = 0;
  for await (const [key, sealed] of engine.table(NAMES_TABLE).entries({ limit: NAMES_ASKED })) {
    asked++;
    try {
      openPointer(sealed, key, keys.pointer);
      return true;
    } catch {
      // Damaged, or another vault's.
    }
  }
  return asked === 0;
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
