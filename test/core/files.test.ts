import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeFolders } from '../../src/core/files.ts';

it.runIf(process.platform === 'linux')(
  'making folders ends where the file system lets none be made',
  async () => {
    await expect(makeFolders('/proc/holdfast/a/b')).rejects.toMatchObject({ code: 'ENOENT' });
  },
);

it('makes what is missing, takes what is there, and no file for a folder', async () => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-files-'));
  try {
    const deep = join(root, 'a', 'b', 'c');
    await Promise.all([makeFolders(deep, 0o700), makeFolders(deep, 0o700)]);
    await makeFolders(deep);
    expect((await stat(deep)).mode & 0o777).toBe(0o700);
    await writeFile(join(root, 'file'), '');
    await expect(makeFolders(join(root, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(makeFolders(join(root, 'file', 'x'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  } finally {
    await rm(root, { recursive: true });
  }
});
