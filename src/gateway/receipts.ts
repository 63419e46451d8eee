import { digestOf, isBlobAddress } from '../core/address.ts';
import type { Clock } from '../core/clock.ts';
import { hostnameOf } from '../http/auth.ts';
import type { Exchange, Headers } from '../http/exchange.ts';
import type { ServiceLog } from '../http/log.ts';
import type { ReceiptDesk, Refusal } from '../receipts/desk.ts';
import type { Place } from '../receipts/log/load.ts';
import type { ReceiptMetrics } from '../telemetry/index.ts';
import { OpenReads } from './open-reads.ts';
import type { StoredObject } from './store.ts';

export interface ReadReceiptsOptions {
  /** Closed by its owner, after this. */
  readonly desk: ReceiptDesk;
  /** The folder that it writes to, to be read. */
  readonly place: Place;
  readonly clock: Clock;
  readonly metrics: ReceiptMetrics;
  readonly log: ServiceLog;
  /** So long after its end a read is waited for to be acknowledged. */
  readonly ackMs: number;
  /** Ended reads that are waited for. */
  readonly maxOpen: number;
  /** Names in lower case that a read may be served for, as its `Host` says. */
  readonly domains: readonly string[];
  /** What it was served for where that says another. */
  readonly defaultDomain: string;
}

/** What a reader is given with a read, so that it can acknowledge it. */
const GRANT_HEADER = 'holdfast-read';

/** Why an acknowledgement is not taken; each is counted from the start of the gateway. */
const REFUSALS: readonly Refusal[] = [
  ...(['malformed', 'foreign', 'future', 'stale', 'forged'] as const),
  ...(['duplicate', 'signature', 'overloaded', 'unwritten'] as const),
];

/** Patterns of the routes that serve objects. */
const OBJECT_ROUTES: ReadonlySet<string> = new Set([
  ...['/m/{address}', '/n/{name}', '/blob/{address}', '/wasm/{address}'],
]);

/** Of a denied read by name nobody looked up what it stands for. */
const UNKNOWN = new Uint8Array(32);

function manifestIn(path: string): Uint8Array {
  const address = path.slice(path.indexOf('/', 1) + 1);
  return !path.startsWith('/n/') && isBlobAddress(address) ? digestOf(address) : UNKNOWN;
}

/** What a gateway writes down of the objects that it serves. */
export class ReadReceipts {
  readonly #options: ReadReceiptsOptions;
  readonly #domains: ReadonlySet<string>;
  readonly #reads: OpenReads;

  constructor(options: ReadReceiptsOptions) {
    this.#options = options;
    this.#domains = new Set(options.domains);
    this.#reads = new OpenReads(options);
    for (const refusal of REFUSALS) options.metrics.rejected(refusal, 0);
  }

  /** The folder that is written to, to be read. */
  get place(): Place {
    return this.#options.place;
  }

  /** What decides who is credited for what a client reads: its own, another in each hour, and none that it chooses. */
  reservationKey(client: string): string {
    return this.#options.desk.reservationKey(client);
  }

  /** A read begins. @returns what its answer has to say besides. */
  begin(exchange: Exchange, object: StoredObject, provider: string, length: number): Headers {
    const request = {
      manifest: digestOf(object.manifest),
      provider,
      domain: this.#domainOf(exchange),
      path: exchange.target?.path ?? '',
      client: exchange.peer.client,
      length,
    };
    const { grant, end } = this.#reads.begin(request, () => exchange.bytesOut);
    exchange.atEnd(end);
    return { [GRANT_HEADER]: grant };
  }

  /** A read is denied. It does not wait for that to be written down. */
  denied(exchange: Exchange, reason: string): void {
    const { request, route, target, peer } = exchange;
    if (request.method !== 'GET' || !OBJECT_ROUTES.has(route) || target === undefined) return;
    const read = {
      ...{ manifest: manifestIn(target.path), provider: '', domain: this.#domainOf(exchange) },
      ...{ path: target.path, client: peer.client, length: 0 },
    };
    const { desk, metrics } = this.#options;
    const written = (refusal: Refusal | undefined): void =>
      refusal === undefined ? metrics.written('denied') : metrics.lost();
    desk.denied(read, reason).then(written, () => metrics.lost());
  }

  /** Takes acknowledgements, each by itself; says of each in turn why it is not taken. */
  accept(acks: readonly Uint8Array[]): Promise<(Refusal | undefined)[]> {
    return Promise.all(acks.map((ack) => this.#reads.accept(ack)));
  }

  /** Writes down what is open. To be called when no request is under way. */
  close(): Promise<void> {
    return this.#reads.close();
  }

  /** A client may say any name: only those that are expected count. */
  #domainOf(exchange: Exchange): string {
    const host = hostnameOf(exchange.header('host') ?? '');
    return host !== undefined && this.#domains.has(host) ? host : this.#options.defaultDomain;
  }
}
