/** One thing to send over a socket of its own, as it is. */
export interface Case {
  readonly name: string;
  readonly bytes: string | Buffer;
  /** What the first answer may be; 0: the connection is closed without one. */
  readonly status: readonly number[];
  /** No more answers than this, whatever was hidden behind. Default 1. */
  readonly answers?: number;
  /** End our side too: what is incomplete would be waited for. */
  readonly end?: boolean;
}

/** Asked for by nothing but what was smuggled in. */
export const HIDDEN = 'hidden-request';

export interface Target {
  /** Of a blob or an object that is there. */
  readonly read: string;
  /** Takes a body. */
  readonly post: string;
  readonly postHeaders: string;
}

const BAD = [400] as const;
const hidden = (): string => `GET /${HIDDEN} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

/** A request that may hold anything. */
export const raw = (line: string, headers: string, body = ''): string =>
  `${line} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n${body}`;

const shown = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);

/** Two readers of these could disagree about where the request ends. */
export function smuggling({ post, postHeaders }: Target): Case[] {
  const send = (headers: string, body: string): string => raw(`POST ${post}`, postHeaders + headers, body);
  const codings = [
    ' xchunked',
    ' chunked, identity',
    ' identity',
    ' gzip, chunked',
    ' "chunked"',
    ' chunked;q=1',
    ' chunked,',
    ' ,chunked',
    ' chunked chunked',
    ' chun\tked',
    ' chunked\x0b',
    ' \x0bchunked',
    ' chunked\x00',
    ' chunked\x85',
    ' cow',
    ' chunked, chunked',
    ' chunkedx',
    ' deflate',
    '',
    ' *',
  ];
  const lengths = [
    '+5',
    '-5',
    '0x5',
    '5,5',
    '5, 5',
    '5;5',
    '5.0',
    '5e0',
    '1e3',
    '',
    ' ',
    '5 5',
    '5x',
    'x5',
    '\x005',
    '5\x0b',
    '٥',
    '99999999999999999999',
    '18446744073709551621',
    '9007199254740993000000',
    '0x',
    'NaN',
    'Infinity',
    '[5]',
    '5\t5',
  ];
  const sizes = [
    'g',
    '-1',
    '+4',
    '0x4',
    ' 4',
    '4 4',
    '4,4',
    'fffffffffffffffff',
    '10000000000000000',
    '4.0',
    '',
    '\x004',
    '4\x0b',
  ];
  const ends = [
    '4\nbody\r\n0\r\n\r\n',
    '4\r\nbody\n0\r\n\r\n',
    '4\r\nbodyX0\r\n\r\n',
    '2\r\nbody\r\n0\r\n\r\n',
    '4\rbody\r\n0\r\n\r\n',
  ];
  const twice = [
    'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n',
    'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n',
    'Content-Length: 4\r\nContent-Length: 4\r\n',
    'Content-Length: 4\r\nContent-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
    'Content-Length : 4\r\n',
    'Transfer-Encoding : chunked\r\n',
    'Content-Length\t: 4\r\n',
    ' Content-Length: 4\r\n',
    'X: y\r\n Content-Length: 4\r\n',
    'X: y\n Transfer-Encoding: chunked\r\n',
    'X: y\nTransfer-Encoding: chunked\r\n',
    'X: y\rContent-Length: 4\r\n',
    'Content-Length: 4\rX: y\r\n',
    'Transfer-Encoding\x00: chunked\r\n',
    'Content-\x00Length: 4\r\n',
    'Content_Length: 4\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n',
    ': x\r\nContent-Length: 4\r\n',
    'X\r\nContent-Length: 4\r\n',
  ];
  const chunked = 'Transfer-Encoding: chunked\r\n';
  return [
    ...codings.map((coding) => ({
      name: `coding ${shown(coding)}`,
      bytes: send(`Transfer-Encoding:${coding}\r\n`, `0\r\n\r\n${hidden()}`),
      status: BAD,
    })),
    ...lengths.map((length) => ({
      name: `length ${shown(length)}`,
      bytes: send(`Content-Length: ${length}\r\n`, `hello${hidden()}`),
      status: [...BAD, 413],
    })),
    ...sizes.map((size) => ({
      name: `chunk of ${shown(size)}`,
      bytes: send(chunked, `${size}\r\nbody\r\n0\r\n\r\n${hidden()}`),
      status: BAD,
    })),
    ...ends.map((body) => ({
      name: `chunk ${shown(body)}`,
      bytes: send(chunked, body + hidden()),
      status: BAD,
    })),
    ...twice.map((headers) => ({
      name: `fields ${shown(headers)}`,
      bytes: send(headers, `0\r\n\r\n${hidden()}`),
      status: BAD,
    })),
    {
      name: 'a chunk extension without end',
      bytes: send(chunked, `4;${'x'.repeat(100_000)}\r\nbody\r\n0\r\n\r\n`),
      status: [...BAD, 413],
    },
    {
      name: 'trailers without end',
      bytes: send(chunked, `0\r\n${'X: y\r\n'.repeat(20_000)}\r\n`),
      status: BAD,
    },
    {
      name: 'a body with GET',
      bytes: raw(`GET /healthz`, 'Content-Length: 5\r\n', `hello${hidden()}`),
      status: BAD,
    },
    {
      name: 'HTTP/1.0 in chunks',
      bytes: `POST ${post} HTTP/1.0\r\n${postHeaders}${chunked}\r\n0\r\n\r\n${hidden()}`,
      status: BAD,
    },
    {
      name: 'a body that ends early',
      bytes: send('Content-Length: 50\r\n', 'short'),
      status: BAD,
      end: true,
    },
    { name: 'chunks that end early', bytes: send(chunked, '40\r\nshort'), status: BAD, end: true },
  ];
}

export function floods({ post, postHeaders }: Target): Case[] {
  const many = (count: number, field = 'a:\r\n'): string => field.repeat(count);
  const counts = [129, 500, 999, 1000, 1001, 1100, 1999, 2000, 2001, 3000];
  return [
    { name: 'as many headers as may be', bytes: raw('GET /healthz', many(127)), status: [200] },
    ...counts.map((n) => ({
      name: `${n} headers, then a length`,
      bytes: raw(`POST ${post}`, `${many(n)}${postHeaders}Content-Length: 5\r\n`, 'hello'),
      status: BAD,
    })),
    ...counts.map((n) => ({
      name: `${n} headers, then a coding`,
      bytes: raw(
        `POST ${post}`,
        `${many(n)}${postHeaders}Transfer-Encoding: chunked\r\n`,
        '5\r\nhello\r\n0\r\n\r\n',
      ),
      status: BAD,
    })),
    ...[5000, 50_000].map((n) => ({
      name: `${n} headers`,
      bytes: raw('GET /healthz', many(n)),
      status: BAD,
    })),
    ...[17_000, 100_000, 1_000_000].map((n) => ({
      name: `a header of ${n}`,
      bytes: raw('GET /healthz', `X: ${'x'.repeat(n)}\r\n`),
      status: BAD,
    })),
    { name: 'a name of 20,000', bytes: raw('GET /healthz', `${'x'.repeat(20_000)}: y\r\n`), status: BAD },
    { name: 'a target of 100,000', bytes: raw(`GET /${'x'.repeat(100_000)}`, ''), status: BAD },
    { name: 'a method of 20,000', bytes: raw(`${'X'.repeat(20_000)} /`, ''), status: BAD },
    {
      name: 'a header without end',
      bytes: `GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${'y'.repeat(1000)}`,
      status: BAD,
      end: true,
    },
    {
      name: 'blank lines before',
      bytes: `${'\r\n'.repeat(1000)}${raw('GET /healthz', '')}`,
      status: [200, 400],
    },
    { name: 'nothing but blank lines', bytes: '\r\n'.repeat(50_000), status: [0, 400], end: true },
    { name: 'zeros', bytes: Buffer.alloc(100_000), status: BAD },
    { name: 'a hello of TLS', bytes: Buffer.from('16030100c8010000c403035f', 'hex'), status: BAD, end: true },
    { name: 'SSH', bytes: 'SSH-2.0-OpenSSH_9.6\r\n', status: BAD },
    { name: 'the preface of HTTP/2', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', status: [400, 505] },
    {
      name: 'a PROXY line',
      bytes: `PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n${raw('GET /healthz', '')}`,
      status: BAD,
    },
    { name: 'memcached', bytes: 'stats\r\n', status: BAD },
    { name: 'nothing', bytes: '', status: [0, 400], end: true },
  ];
}

/** One behind the other on one connection. */
export function pipelines({ read }: Target): Case[] {
  const ok = raw('GET /healthz', '');
  return [
    ...[2, 8, 17].map((n) => ({ name: `${n} at once`, bytes: ok.repeat(n), status: [200], answers: n })),
    ...[18, 100, 1000, 3000].map((n) => ({
      name: `${n} at once`,
      bytes: ok.repeat(n),
      status: [200],
      answers: 18,
    })),
    { name: '100 reads at once', bytes: raw(`GET ${read}`, '').repeat(100), status: [200], answers: 18 },
    { name: '500 that are none', bytes: `${ok}${'x\r\n\r\n'.repeat(500)}`, status: [200], answers: 2 },
    {
      name: 'one that closes, and more',
      bytes: raw('GET /healthz', 'Connection: close\r\n') + hidden(),
      status: [200],
    },
    { name: 'one that is refused, and more', bytes: raw('GET /%', '') + hidden(), status: BAD },
    { name: 'HTTP/1.0, and more', bytes: `GET /healthz HTTP/1.0\r\n\r\n${hidden()}`, status: [200] },
    {
      name: 'CONNECT behind one',
      bytes: `${ok}CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n${hidden()}`,
      status: [200],
      answers: 2,
    },
    { name: 'half of one behind one', bytes: `${ok}GET /hea`, status: [200], answers: 2, end: true },
  ];
}
