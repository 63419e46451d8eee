import { text } from '../../core/fields.ts';
import { fromHome } from '../keys.ts';
import { type AdapterKind, required } from '../kind.ts';

/** What an entry of this kind says. */
export interface FsKeys {
  readonly root: string;
}

const folder = text('', /^[^\0]{1,4096}$/, 'a path, absolute or from the home');

export const fs: AdapterKind<'fs', FsKeys> = {
  name: 'fs',
  keys: {
    root: required(folder, 'the folder; relative paths start at the home', { distinct: true, ...fromHome }),
  },
  async open({ id, root }, deps) {
    const { createFsAdapter } = await import('./driver.ts');
    return createFsAdapter({ id, root, ...deps });
  },
  setups: [
    {
      name: 'folder',
      brief: 'a folder on this machine, e.g. another disk',
      questions: [
        {
          flag: 'root',
          ask: 'Folder (made if it is not there)',
          brief: 'Folder here, or on the SFTP server',
          placeholder: 'DIR',
          path: true,
        },
      ],
      secrets: [],
      table: ({ root }) => ({ root }),
    },
  ],
};
