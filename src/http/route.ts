import type { Load } from './admission/admission.ts';
import type { Scope } from './auth/principal.ts';
import type { Exchange } from './exchange.ts';

/** What can be done at a path, with a service's own context `C`. `params` are the parts of the path that vary. */
export interface Route<C> {
  readonly pattern: string;
  match(path: string): readonly string[] | undefined;
  readonly methods: Readonly<Record<string, Endpoint<C>>>;
}

export interface Endpoint<C> {
  /** Undefined: open to all. */
  readonly scope: Scope | undefined;
  /** What those need who show nothing, where that is more. */
  readonly strangerScope?: Scope;
  readonly load: Load;
  /** Whether the request may have a body. */
  readonly takesBody?: boolean;
  run(context: C, exchange: Exchange, params: readonly string[]): Promise<void>;
}

export const readable = <C>(endpoint: Endpoint<C>): Record<'GET' | 'HEAD', Endpoint<C>> => ({
  GET: endpoint,
  HEAD: endpoint,
});

/** A path with nothing variable. */
export const at = <C>(pattern: string, methods: Route<C>['methods']): Route<C> => ({
  pattern,
  match: (path) => (path === pattern ? [] : undefined),
  methods,
});

/** One segment after `prefix`. */
export const oneAfter =
  (prefix: string): ((path: string) => readonly string[] | undefined) =>
  (path) => {
    if (!path.startsWith(prefix)) return undefined;
    const rest = path.slice(prefix.length);
    return rest === '' || rest.includes('/') ? undefined : [rest];
  };
