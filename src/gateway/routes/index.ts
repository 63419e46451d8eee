import { controlRoutes } from '../../http/control.ts';
import { at, oneAfter, type Route, readable } from '../../http/route.ts';
import type { GatewayContext } from '../context.ts';
import { nameIn } from '../target.ts';
import { getStoredBlob } from './blobs.ts';
import { listManifests, listProviders } from './explorer.ts';
import { getManifestBlock } from './manifest-block.ts';
import { fetchBlob, fetchWasm, getByManifest, getByName } from './objects.ts';
import { rpc } from './rpc.ts';

/** Every path of a gateway. */
export const ROUTES: readonly Route<GatewayContext>[] = [
  { pattern: '/m/{address}', match: oneAfter('/m/'), methods: readable(getByManifest) },
  { pattern: '/n/{name}', match: nameIn, methods: readable(getByName) },
  { pattern: '/blob/{address}', match: oneAfter('/blob/'), methods: readable(fetchBlob) },
  { pattern: '/wasm/{address}', match: oneAfter('/wasm/'), methods: readable(fetchWasm) },
  { pattern: '/manifests/{address}', match: oneAfter('/manifests/'), methods: readable(getManifestBlock) },
  { pattern: '/o/{address}', match: oneAfter('/o/'), methods: readable(getStoredBlob) },
  at('/storage/manifests', readable(listManifests)),
  at('/storage/providers', readable(listProviders)),
  at('/rpc', { POST: rpc }),
  // They name the providers.
  ...controlRoutes<GatewayContext>({ takesWrites: false, strangerScope: 'admin' }),
];
