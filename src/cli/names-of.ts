import type { NamedObject, Vault } from '../vault/open-vault.ts';
import type { Io } from './io.ts';

/** The named objects whose names start with `prefix`, sorted by name. */
export async function namesOf(vault: Vault, io: Io, prefix = ''): Promise<NamedObject[]> {
  const found: NamedObject[] = [];
  for await (const object of vault.list({ signal: io.signal })) {
    if (object.name.startsWith(prefix)) found.push(object);
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}
