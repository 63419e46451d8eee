import type { Area } from './area.ts';
import { putRandom, startGateway } from './gateway-server.ts';
import { createVault } from './holdfast.ts';
import { type HoldfastServer, stopChild } from './load-servers.ts';
import { attacks, besideSlow, renderSlow, type SlowFigure } from './load-slow.ts';
import { type WrkResult, wrk } from './load-wrk.ts';
import { columns, MIB } from './numbers.ts';
import { installed } from './processes.ts';

const OBJECTS = 16;
const OBJECT_BYTES = 64 * 1024;
const LARGE_MIB = 8;
const LIMIT = 8;
const TIMES = 5;
const SECONDS = 5;
/** Decoded every time: what is in memory cannot be overloaded like this. */
const NO_CACHE = ['--chunk-cache-bytes', '0'];

export interface GatewayLoad {
  readonly slow: readonly SlowFigure[];
  /** As many clients as it takes at once, and five times as many, who do not wait when they are told to. */
  readonly full: WrkResult;
  readonly over: WrkResult;
}

/** The gateway beside clients that are slow on purpose, and under five times the load it takes. */
export async function benchGatewayLoad(area: Area, say: (text: string) => void): Promise<GatewayLoad> {
  for (const program of ['slowhttptest', 'wrk'])
    if (!installed(program)) throw new TypeError(`${program} is not installed`);
  const vault = await createVault(area.dir);
  const lengths = Array.from({ length: OBJECTS }, () => OBJECT_BYTES);
  const [large, ...small] = await putRandom(vault.home, [LARGE_MIB * MIB, ...lengths]);
  const slow: SlowFigure[] = [];
  for (const attack of attacks('/rpc', large!, LARGE_MIB)) {
    say(attack.name);
    slow.push(await withGateway(vault.home, [], ({ url }) => besideSlow(url, attack, small)));
  }
  say('overload');
  const limits = ['--max-inflight', String(LIMIT), ...NO_CACHE];
  const [full, over] = await withGateway(vault.home, limits, async ({ url }) => {
    const job = { url, method: 'GET', paths: small, headers: {}, seconds: SECONDS, once: false } as const;
    await wrk(area.dir, job, LIMIT);
    return [await wrk(area.dir, job, LIMIT), await wrk(area.dir, job, LIMIT * TIMES)];
  });
  await vault.remove();
  return { slow, full: full!, over: over! };
}

async function withGateway<T>(
  home: string,
  flags: readonly string[],
  work: (gateway: HoldfastServer) => Promise<T>,
): Promise<T> {
  const gateway = await startGateway(home, flags);
  try {
    return await work(gateway);
  } finally {
    await stopChild(gateway.child, 'SIGKILL');
  }
}

export function renderGatewayLoad({ slow, full, over }: GatewayLoad): string {
  const row = (name: string, { requests, refused, failed, perSecond, p50, p99 }: WrkResult): string[] => [
    name,
    ((perSecond * (requests - refused)) / requests).toFixed(0),
    ((perSecond * refused) / requests).toFixed(0),
    p50.toFixed(1),
    p99.toFixed(1),
    String(failed),
  ];
  const head = ['', 'served/s', 'refused/s', 'p50 ms', 'p99', 'no answer'];
  const rows = [
    row(`${LIMIT} clients`, full),
    row(`${LIMIT * TIMES} clients that do not wait when refused`, over),
  ];
  return [
    renderSlow(slow, 'holdfast gateway'),
    '',
    `a gateway with --max-inflight ${LIMIT} that decodes 64 KiB for every request`,
    columns([head, ...rows]),
  ].join('\n');
}
