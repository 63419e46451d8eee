import type { Endpoint } from '../context.ts';
import { sendJson, sendText } from '../http/respond.ts';

/** `GET /healthz`: the process runs and answers. */
export const health: Endpoint = {
  scope: undefined,
  load: 'control',
  run: async (_context, exchange) => sendJson(exchange, 200, { status: 'ok' }),
};

/**
 * `GET /readyz`: 200 while reads and writes are taken, else 503. With `plane=read` only reads count, for balancers that
 * route the two apart: writes go first.
 */
export const ready: Endpoint = {
  scope: undefined,
  load: 'control',
  async run({ readiness }, exchange) {
    const report = await readiness.report();
    const good = exchange.target?.query.get('plane') === 'read' ? report.reads : report.writes;
    sendJson(exchange, good ? 200 : 503, report, good ? {} : { 'retry-after': '1' });
  },
};

/** `GET /metrics`, in the Prometheus text format. */
export const metrics: Endpoint = {
  scope: 'read',
  load: 'control',
  async run({ exposition }, exchange) {
    sendText(exchange, 200, exposition.contentType, await exposition.renderMetrics());
  },
};

/** `GET /version` */
export const version: Endpoint = {
  scope: 'read',
  load: 'control',
  run: async (context, exchange) => sendJson(exchange, 200, context.version),
};
