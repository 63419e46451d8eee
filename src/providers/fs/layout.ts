import { constants } from 'node:fs';
import { lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { BlobAddress } from '../../core/address.ts';
import { HoldfastError } from '../../core/errors.ts';
import { checkRealFolder, makeFolders, readSmallFile } from '../../core/files.ts';
import { remoteText } from '../../core/remote-text.ts';
import { errnoOf, fsError } from './errors.ts';

/**
 * A provider folder: `holdfast-provider.json` (the marker), `blobs/<2 hex>/<62 hex>`, `slots/<name>/<generation>`
 * and `tmp/`, which holds unfinished writes and is on the same file system, so that a rename out of it is atomic.
 */
export interface Layout {
  readonly root: string;
  readonly marker: string;
  readonly blobs: string;
  readonly slots: string;
  readonly tmp: string;
}

const MARKER = 'holdfast-provider.json';
const FORMAT = 'holdfast-fs/1';
const OURS: ReadonlySet<string> = new Set([MARKER, 'blobs', 'slots', 'tmp', 'lost+found']);
const MAX_MARKER_BYTES = 4096;

export const layoutOf = (root: string): Layout => ({
  root,
  marker: join(root, MARKER),
  blobs: join(root, 'blobs'),
  slots: join(root, 'slots'),
  tmp: join(root, 'tmp'),
});

export const fanOutOf = (layout: Layout, address: BlobAddress): string =>
  join(layout.blobs, address.slice(3, 5));

export const blobPathOf = (layout: Layout, address: BlobAddress): string =>
  `${layout.blobs}${sep}${address.slice(3, 5)}${sep}${address.slice(5)}`;

/**
 * Makes `root` the home of provider `id`: the only place where a provider folder is created. Idempotent.
 * @throws HoldfastError `ConfigInvalid` when `root` is no folder, belongs to another provider or holds foreign files;
 * `PermissionDenied` (`access_denied`), `QuotaExceeded`.
 */
export async function initFsProvider(root: string, id: string): Promise<void> {
  const layout = layoutOf(root);
  try {
    await makeFolders(root).catch((cause: unknown) => {
      throw cannotMake(root, id, cause);
    });
    const foreign = (await readdir(root)).find((name) => !OURS.has(name));
    if (foreign !== undefined && !(await isFile(layout.marker))) {
      throw new HoldfastError('ConfigInvalid', `the folder of provider "${id}" holds foreign files`, {
        code: 'provider_folder_in_use',
        provider: id,
        hint: 'Name an empty folder as its root.',
        context: { root, found: foreign },
      });
    }
    for (const folder of foldersOf(layout)) await makeFolders(folder);
    await checkFolders(layout, id);
    if (await isFile(layout.marker)) return await checkMarker(layout, id);
    await writeMarker(layout, id);
  } catch (error) {
    const failure = fsError(error);
    if (!(failure instanceof HoldfastError) || failure.provider !== undefined) throw failure;
    const code = failure.kind === 'PermissionDenied' ? { code: 'access_denied' as const } : {};
    throw failure.with({ provider: id, context: { root }, ...code });
  }
}

const NO_ROOT = 'Name a folder, or a path at which one can be made, as its root.';

/** Why there is no folder at `root`, nor can be. */
function cannotMake(root: string, id: string, cause: unknown): unknown {
  const errno = errnoOf(cause);
  const occupied = errno === 'EEXIST' || errno === 'ENOTDIR';
  if (!occupied && errno !== 'ENOENT') {
    const failure = fsError(cause);
    return failure instanceof HoldfastError ? failure.with({ hint: NO_ROOT }) : failure;
  }
  const what = occupied ? 'is not a folder' : 'cannot be made';
  return new HoldfastError('ConfigInvalid', `the root of provider "${id}" ${what}: ${root}`, {
    code: 'provider_root',
    provider: id,
    hint: NO_ROOT,
    context: { root },
    cause,
  });
}

/** The provider whose folder this is; undefined when it is no provider's. */
export async function readProviderId(root: string): Promise<string | undefined> {
  const text = await readMarker(layoutOf(root)).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return '';
    throw fsError(error);
  });
  return parseMarker(text);
}

/** @throws HoldfastError `Unavailable`, code `provider_missing`; `ConfigInvalid` for another provider's folder. */
export async function checkMarker(layout: Layout, id: string): Promise<void> {
  const text = await readMarker(layout).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') throw providerMissing(layout, id, error);
    throw fsError(error);
  });
  const found = parseMarker(text);
  if (found === id) return checkFolders(layout, id);
  throw new HoldfastError(
    'ConfigInvalid',
    found === undefined
      ? `the marker file of provider "${id}" is not readable as one`
      : `the folder of provider "${id}" belongs to provider "${remoteText(found)}"`,
    {
      code: 'provider_mismatch',
      provider: id,
      hint: 'Correct the root of this provider in the configuration, or mount the right disk there.',
      context: { root: layout.root, ...(found === undefined ? {} : { found }) },
    },
  );
}

/** Tells "that file is not there" from "the provider is not there". Resolves in the first case. */
export async function checkPresent(layout: Layout, id: string): Promise<void> {
  if (!(await isFile(layout.marker))) throw providerMissing(layout, id);
}

function providerMissing(layout: Layout, id: string, cause?: unknown): HoldfastError {
  return new HoldfastError('Unavailable', `the folder of provider "${id}" is not there or was never set up`, {
    code: 'provider_missing',
    provider: id,
    status: 'permanent',
    hint: 'Mount the disk again, or set the folder up as a provider if it is new.',
    context: { root: layout.root },
    ...(cause === undefined ? {} : { cause }),
  });
}

const foldersOf = ({ blobs, slots, tmp }: Layout): readonly string[] => [blobs, slots, tmp];

/**
 * A folder of ours that is a link would have us write, and remove, somewhere else.
 * @throws HoldfastError `Corrupt`, code `provider_folder_unsafe`. One that is not there is for who uses it to find out.
 */
async function checkFolders(layout: Layout, id: string): Promise<void> {
  for (const folder of foldersOf(layout)) {
    await checkRealFolder(folder).catch((cause: unknown) => {
      if (errnoOf(cause) === 'ENOENT') return;
      if (errnoOf(cause) !== 'ENOTDIR') throw fsError(cause);
      throw new HoldfastError('Corrupt', `a folder of provider "${id}" is a link or no folder`, {
        code: 'provider_folder_unsafe',
        provider: id,
        hint: 'Find out who put it there, and put a folder in its place. A whole provider may be moved by its root.',
        context: { root: layout.root, folder },
        cause,
      });
    });
  }
}

/** What is too long, or no file, is not readable as a marker. */
async function readMarker(layout: Layout): Promise<string> {
  return readSmallFile(layout.marker, MAX_MARKER_BYTES, 'refused').catch((error: unknown) => {
    if (UNREADABLE.has(errnoOf(error) ?? '')) return '';
    throw error;
  });
}

const UNREADABLE: ReadonlySet<string> = new Set(['EFBIG', 'EFTYPE', 'EISDIR', 'ELOOP', 'ENXIO']);

function parseMarker(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('format' in value) || value.format !== FORMAT)
      return undefined;
    return 'id' in value && typeof value.id === 'string' ? value.id : undefined;
  } catch {
    return undefined;
  }
}

async function writeMarker(layout: Layout, id: string): Promise<void> {
  const unfinished = join(layout.tmp, MARKER);
  // Left behind, or planted: a link there would have another file written over.
  await rm(unfinished, { force: true });
  const file = await open(unfinished, 'wx', 0o644);
  try {
    await file.writeFile(`${JSON.stringify({ format: FORMAT, id })}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(unfinished, layout.marker);
  await syncFolder(layout.root);
}

/** Makes renames, links and new entries in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | (constants.O_DIRECTORY ?? 0));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFile();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false;
    throw fsError(error);
  }
}
