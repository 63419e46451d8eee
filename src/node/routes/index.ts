import { controlRoutes } from '../../http/control.ts';
import { at, oneAfter, type Route, readable } from '../../http/route.ts';
import type { NodeContext } from '../context.ts';
import { repair } from './admin-repair.ts';
import { deleteBlob } from './blob-delete.ts';
import { getBlob } from './blob-get.ts';
import { listBlobs } from './blob-list.ts';
import { postBlob } from './blob-post.ts';
import { putBlob } from './blob-put.ts';
import { deleteSlot, getSlot, listSlots, putSlot } from './slots.ts';

/** Every path of a node. */
export const ROUTES: readonly Route<NodeContext>[] = [
  {
    pattern: '/o/{address}',
    match: oneAfter('/o/'),
    methods: { ...readable(getBlob), PUT: putBlob, DELETE: deleteBlob },
  },
  at('/o', { ...readable(listBlobs), POST: postBlob }),
  {
    pattern: '/slots/{name}',
    match: oneAfter('/slots/'),
    methods: { ...readable(getSlot), PUT: putSlot, DELETE: deleteSlot },
  },
  at('/slots', readable(listSlots)),
  at('/admin/repair', { POST: repair }),
  ...controlRoutes<NodeContext>({ takesWrites: true, strangerScope: 'read' }),
];
