/** Where a service tells what it does. Never waits, never throws. */
export interface ServiceLog {
  /** Undefined: nobody wants to know. */
  access?: ((entry: AccessEntry) => void) | undefined;
  event(level: 'info' | 'warn', event: string, fields: Readonly<Record<string, unknown>>): void;
}

/** One line of the access log. Holds no tokens and no bodies. */
export interface AccessEntry {
  readonly time: string;
  readonly corr_id: string;
  readonly client: string;
  readonly principal: string;
  readonly method: string;
  readonly target: string;
  /** Pattern of the route, `none` for what is none. */
  readonly route: string;
  readonly status: number;
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly ms: number;
  /** The connection ended before the answer did. */
  readonly cut?: boolean;
}

export const silentLog: ServiceLog = { event() {} };
