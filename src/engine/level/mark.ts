import { open, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolders } from '../../core/files.ts';
import { encodeMark, type Mark, markIn, storeMoved } from '../movable.ts';
import { levelFailure } from './failure.ts';

/** Beside the database: where its records went. */
const MARK_FILE = 'MOVED';
/** What earlier versions, which know of no mark, refuse to open a database without. */
const CURRENT = { there: 'CURRENT', away: 'CURRENT.moved' } as const;

export async function readMark(location: string): Promise<Mark | undefined> {
  try {
    return markIn(await readFile(join(location, MARK_FILE)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw levelFailure(error, location);
  }
}

/** @throws HoldfastError `Unavailable`, code `engine_moved`. */
export async function refuseMoved(location: string): Promise<void> {
  const mark = await readMark(location);
  if (mark !== undefined) throw storeMoved(mark);
}

/** Durable when it resolves. Call it while the database is this process's. */
export async function writeMark(location: string, mark: Mark | undefined): Promise<void> {
  try {
    await makeFolders(location, 0o700);
    const path = join(location, MARK_FILE);
    if (mark === undefined) await unlink(path).catch(unlessAbsent);
    else {
      const file = await open(`${path}.new`, 'w', 0o600);
      try {
        await file.writeFile(encodeMark(mark));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
    }
    const [from, to] =
      mark?.state === 'moved' ? [CURRENT.there, CURRENT.away] : [CURRENT.away, CURRENT.there];
    await rename(join(location, from), join(location, to)).catch(unlessAbsent);
    const folder = await open(location, 'r');
    await folder.sync().finally(() => folder.close());
  } catch (error) {
    throw levelFailure(error, location);
  }
}

function unlessAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
