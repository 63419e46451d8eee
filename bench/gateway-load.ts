import { once } from 'node:events';
import { findConfig } from '../src/compose/load-config.ts';
import { openVault } from '../src/compose/open-vault.ts';
import { secureRandom } from '../src/core/random.ts';
import type { Area } from './area.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { CONFIG, createVault } from './holdfast.ts';
import { createClient, sleep } from './load-client.ts';
import {
  ATTACKERS,
  connectionsOf,
  GOOD_CLIENTS,
  goodClients,
  MEASURE_MS,
  RAMP_MS,
  renderSlow,
  type SlowFigure,
  startAttack,
} from './load-slow.ts';
import { type WrkResult, wrk } from './load-wrk.ts';
import { columns, MIB } from './numbers.ts';
import { installed } from './processes.ts';

const OBJECTS = 16;
const OBJECT_BYTES = 64 * 1024;
const LARGE_BYTES = 8 * MIB;
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
  const { small, large } = await putObjects(vault.home);
  const slow: SlowFigure[] = [];
  for (const [attack, args] of attacks(large)) {
    say(attack);
    slow.push(await withGateway(vault.home, [], (gateway) => besideSlow(gateway, attack, args, small)));
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

const attacks = (large: string): [string, (url: string) => string[]][] => [
  ['slow headers', (url) => ['-H', '-i', '2', '-u', `${url}/`]],
  ['slow bodies', (url) => ['-B', '-i', '2', '-s', '8192', '-t', 'POST', '-u', `${url}/rpc`]],
  ['slow readers of 8 MiB', (url) => [...'-X -w 10 -y 20 -n 2 -z 32 -k 1 -u'.split(' '), url + large]],
];

async function besideSlow(
  gateway: Gateway,
  attack: string,
  args: (url: string) => string[],
  paths: readonly string[],
): Promise<SlowFigure> {
  const client = createClient(gateway.url, GOOD_CLIENTS);
  await goodClients(client, paths, 1_000);
  const idle = await goodClients(client, paths, MEASURE_MS);
  const attacker = startAttack(args(gateway.url));
  try {
    await sleep(RAMP_MS);
    const connections = connectionsOf(gateway);
    return { attack, connections, idle, attacked: await goodClients(client, paths, MEASURE_MS) };
  } finally {
    attacker.kill('SIGKILL');
    client.close();
  }
}

async function withGateway<T>(
  home: string,
  flags: readonly string[],
  work: (gateway: Gateway) => Promise<T>,
): Promise<T> {
  const gateway = await startGateway(home, flags);
  try {
    return await work(gateway);
  } finally {
    gateway.child.kill('SIGKILL');
    await once(gateway.child, 'close');
  }
}

async function putObjects(home: string): Promise<{ small: string[]; large: string }> {
  const config = await findConfig({ file: CONFIG, home, env: {}, cwd: home });
  const vault = await openVault({ config, env: {} });
  const put = async (bytes: number): Promise<string> =>
    `/m/${(await vault.putObject(secureRandom(bytes))).manifest}`;
  try {
    const small: string[] = [];
    for (let i = 0; i < OBJECTS; i++) small.push(await put(OBJECT_BYTES));
    return { small, large: await put(LARGE_BYTES) };
  } finally {
    await vault.close();
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
    renderSlow(slow).replace(`${ATTACKERS} slow`, `holdfast gateway, ${ATTACKERS} slow`),
    '',
    `a gateway with --max-inflight ${LIMIT} that decodes 64 KiB for every request`,
    columns([head, ...rows]),
  ].join('\n');
}
