export const SCOPES = ['read', 'write', 'delete', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** Who a request comes from, and what they may do. */
export interface Principal {
  /** For logs and limits; never a secret. */
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
  /** False for whoever showed nothing. */
  readonly authenticated: boolean;
}

/** How a connection came in. A private plane (a Unix socket, mutual TLS) has proven its peer by itself. */
export interface Plane {
  readonly private: boolean;
  readonly kind: 'tcp' | 'tls' | 'unix';
  /** The host that was asked to be listened at; empty for a Unix socket. */
  readonly host: string;
}

export interface Authenticator {
  /** @throws HttpProblem 401 for credentials that are not good. */
  authenticate(authorization: string | undefined, plane: Plane): Principal;
  /** Whether anyone who gets here may, without showing anything. */
  open(scope: Scope): boolean;
}

export const isScope = (text: string): text is Scope => (SCOPES as readonly string[]).includes(text);

/** Who a request comes from before anyone has looked. */
export const NOBODY: Principal = { name: 'unknown', scopes: new Set(), authenticated: false };
