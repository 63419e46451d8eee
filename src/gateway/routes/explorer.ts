import { badRequest } from '../../http/message/problem.ts';
import { sendJson } from '../../http/message/respond.ts';
import type { Endpoint } from '../../http/route.ts';
import type { GatewayContext } from '../context.ts';
import { checkLimit, DEFAULT_LIMIT, manifestsPage, providersPage } from '../explorer.ts';

/** `/storage/manifests?limit=N`: the newest manifests by their public parts, and the policy in force. */
export const listManifests: Endpoint<GatewayContext> = {
  scope: 'admin',
  load: 'read',
  async run(context, exchange) {
    const text = exchange.target?.query.get('limit') ?? String(DEFAULT_LIMIT);
    const limit = checkLimit(/^\d{1,9}$/.test(text) ? Number(text) : undefined);
    if (limit === undefined) throw badRequest('limit is a whole number from 1 to 1000');
    sendJson(exchange, 200, await manifestsPage(context, limit, exchange.signal));
  },
};

/** `/storage/providers`: what is known of each provider. */
export const listProviders: Endpoint<GatewayContext> = {
  scope: 'admin',
  load: 'read',
  run: async (context, exchange) => sendJson(exchange, 200, providersPage(context)),
};
