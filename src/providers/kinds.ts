/** Every kind of provider that comes with Holdfast: to add one is to add a folder, and a line here. */
export { fs } from './fs/index.ts';
export { http } from './http/index.ts';
export { ipfs } from './ipfs/index.ts';
export { memory } from './memory/index.ts';
export { s3 } from './s3/index.ts';
export { sftp } from './sftp/index.ts';
export { webdav } from './webdav/index.ts';
