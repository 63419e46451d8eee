import { readFile } from 'node:fs/promises';
import { addressOf } from '../core/address.ts';
import { portableBlake3 } from '../core/b3/portable.ts';
import type { Clock } from '../core/clock.ts';
import type { Exchange, Headers } from '../http/exchange.ts';
import { at, type Endpoint, oneAfter, type Route, readable } from '../http/handle.ts';
import type { HttpLimits } from '../http/limits.ts';
import { HttpProblem } from '../http/problem.ts';
import { sendRepresentation } from '../http/representation.ts';
import { etagOf } from '../http/request.ts';

export interface PageContext {
  readonly clock: Clock;
  readonly limits: HttpLimits;
  /** False where pages of others have this origin too: they could do what the page may do. */
  readonly servesPage: boolean;
}

const SCRIPT = 'text/javascript; charset=utf-8';
const DOCUMENT = 'explorer.html';

/**
 * What the page consists of, by its name in `web/`.
 * @internal A test compares it with the folder.
 */
export const PAGE_FILES: ReadonlyMap<string, string> = new Map([
  [DOCUMENT, 'text/html; charset=utf-8'],
  ...['explorer', 'parts', 'map'].map((name) => [`${name}.css`, 'text/css; charset=utf-8'] as const),
  ['icon.svg', 'image/svg+xml'],
  ...[
    'explorer',
    'api',
    'dom',
    'format',
    'history',
    'object',
    'objects',
    'overview',
    'providers',
    'hours',
    'refresh',
    'settings',
    'shard-map',
  ].map((name) => [`${name}.js`, SCRIPT] as const),
]);

/** Nothing from elsewhere, nothing inline, and no string that becomes markup or a script. */
const SAFE: Headers = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

interface PageFile {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly contentType: string;
}

/** `web/` as it is seen from the sources, from a chunk of the build, and from a file right in the build. */
const FOLDERS = ['../../web/', '../web/'];

let loaded: Promise<ReadonlyMap<string, PageFile>> | undefined;

/** The files are read once; a program that was bundled without them may get them later. */
async function pageFiles(): Promise<ReadonlyMap<string, PageFile>> {
  loaded ??= loadFiles();
  try {
    return await loaded;
  } catch (cause) {
    loaded = undefined;
    throw new HttpProblem(404, 'NotFound', 'this program was installed without its page', { cause });
  }
}

async function loadFiles(): Promise<ReadonlyMap<string, PageFile>> {
  let failure: unknown;
  for (const folder of FOLDERS) {
    try {
      const files = [...PAGE_FILES].map(async ([name, contentType]) => {
        const bytes = await readFile(new URL(folder + name, import.meta.url));
        const etag = etagOf(addressOf(portableBlake3.hash(bytes)));
        return [name, { bytes, etag, contentType }] as const;
      });
      return new Map(await Promise.all(files));
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function sendFile(
  { clock, limits, servesPage }: PageContext,
  exchange: Exchange,
  name: string,
): Promise<void> {
  if (!servesPage) {
    throw new HttpProblem(404, 'NotFound', 'there is no page here: this gateway serves a site');
  }
  const file = (await pageFiles()).get(name);
  if (file === undefined) throw new HttpProblem(404, 'NotFound', 'there is nothing at this path');
  const { bytes } = file;
  const representation = {
    ...file,
    size: bytes.length,
    cacheControl: 'public, no-cache',
    headers: SAFE,
    sandboxed: false,
    read: async function* () {
      yield bytes;
    },
  };
  await sendRepresentation(exchange, representation, clock, limits);
}

/** Open to everyone: the page holds nothing, and asks for a token where the service wants one. */
const file = (nameIn: (params: readonly string[]) => string): Endpoint<PageContext> => ({
  scope: undefined,
  load: 'control',
  run: (context, exchange, params) => sendFile(context, exchange, nameIn(params)),
});

export const pageRoutes: readonly Route<PageContext>[] = [
  at('/', readable(file(() => DOCUMENT))),
  { pattern: '/web/{file}', match: oneAfter('/web/'), methods: readable(file(([name]) => name ?? '')) },
];
