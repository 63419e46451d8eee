import type { ServiceMetrics } from '../telemetry/index.ts';
import type { Scope } from './auth.ts';
import type { ReadinessReport } from './gates.ts';
import { at, type Route, readable } from './handle.ts';
import { sendJson, sendText } from './respond.ts';

/** The text of `/metrics`. */
export interface Exposition {
  readonly contentType: string;
  renderMetrics(): Promise<string>;
}

export interface ControlContext {
  readonly exposition: Exposition;
  /** @param client who asks about its writes: a limit that only it has reached shows only to it. */
  readonly readiness: { report(client: string): Promise<ReadinessReport> };
  readonly metrics: Pick<ServiceMetrics, 'gateOpen'>;
  /** What `/version` says. */
  readonly version: object;
}

interface ControlOptions {
  /** False: a service that can read is ready. */
  readonly takesWrites: boolean;
  /** The scope that a request without credentials needs for metrics. */
  readonly strangerScope: Scope;
}

/** `/healthz`: the process runs and answers. `/readyz`: it can do its work; with `plane=read`, its reads. */
export const controlRoutes = <C extends ControlContext>({
  takesWrites,
  strangerScope,
}: ControlOptions): readonly Route<C>[] => [
  at(
    '/healthz',
    readable<C>({
      scope: undefined,
      load: 'control',
      run: async (_context, exchange) => sendJson(exchange, 200, { status: 'ok' }),
    }),
  ),
  at(
    '/readyz',
    readable<C>({
      scope: undefined,
      load: 'control',
      async run({ metrics, readiness }, exchange) {
        const report = await readiness.report(exchange.peer.client);
        for (const { gate, open } of report.gates) metrics.gateOpen(gate, open);
        const reading = !takesWrites || exchange.target?.query.get('plane') === 'read';
        const good = reading ? report.reads : report.writes;
        sendJson(exchange, good ? 200 : 503, report, good ? {} : { 'retry-after': '1' });
      },
    }),
  ),
  at(
    '/metrics',
    readable<C>({
      scope: 'read',
      strangerScope,
      load: 'control',
      async run({ exposition }, exchange) {
        sendText(exchange, 200, exposition.contentType, await exposition.renderMetrics());
      },
    }),
  ),
  at(
    '/version',
    readable<C>({
      scope: 'read',
      load: 'control',
      run: async (context, exchange) => sendJson(exchange, 200, context.version),
    }),
  ),
];
