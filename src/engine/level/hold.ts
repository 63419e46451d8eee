import { HoldfastError } from '../../core/errors.ts';
import { openOnce } from './connection.ts';

/**
 * Keeps a folder for this process: by the lock of a database of its own, which the system lets go of when the process
 * ends, however it ends.
 * @returns lets go of it.
 * @throws HoldfastError `Unavailable`, code `engine_locked`, where another has it.
 */
export async function holdFolder(location: string): Promise<() => Promise<void>> {
  const database = await openOnce(location);
  if (database instanceof HoldfastError) throw database;
  return () => database.close();
}
