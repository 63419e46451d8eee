import { type Endpoint, exactly, oneAfter, type Route } from '../context.ts';
import { repair } from './admin-repair.ts';
import { deleteBlob } from './blob-delete.ts';
import { getBlob } from './blob-get.ts';
import { listBlobs } from './blob-list.ts';
import { postBlob } from './blob-post.ts';
import { putBlob } from './blob-put.ts';
import { health, metrics, ready, version } from './service.ts';
import { deleteSlot, getSlot, listSlots, putSlot } from './slots.ts';

const readable = (endpoint: Endpoint): Record<'GET' | 'HEAD', Endpoint> => ({
  GET: endpoint,
  HEAD: endpoint,
});

const at = (pattern: string, methods: Route['methods']): Route => ({
  pattern,
  match: exactly(pattern),
  methods,
});

/** Every path of a node. */
export const ROUTES: readonly Route[] = [
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
  at('/healthz', readable(health)),
  at('/readyz', readable(ready)),
  at('/metrics', readable(metrics)),
  at('/version', readable(version)),
];
