/**
 * The service under load, beside its objectives:
 * `run.js [--workload a,b,abuse,region,soak] [--seconds N] [--rate N] [--program main.js]`. Ends with 1 when one is missed.
 */
import { parseArgs } from 'node:util';
import { type Area, inArea } from '../area.ts';
import { putRandom } from '../gateway-server.ts';
import { COMMAND, createVault } from '../holdfast.ts';
import { percentile } from '../load-client.ts';
import { columns, MIB } from '../numbers.ts';
import { type Driven, driven } from './drive.ts';
import { type Subject, startGatewayOver, startNodeOver, startRegion } from './subjects.ts';
import { Wire } from './wire.ts';
import {
  abuse,
  type ClassName,
  farReads,
  soak,
  type Workload,
  workloadA,
  workloadB,
  writeContent,
} from './workloads.ts';

const { values } = parseArgs({
  options: {
    workload: { type: 'string', default: 'a,b,abuse,region,soak' },
    seconds: { type: 'string', default: '20' },
    rate: { type: 'string', default: '500' },
    program: { type: 'string', default: COMMAND },
  },
});
/** The objectives hold for a node at this load; what goes through decoding, or far away, is asked for less often. */
const RATE = Number(values.rate);
const SECONDS = Number(values.seconds);

/** Milliseconds that 95 of 100 must be under. */
const P95: Readonly<Partial<Record<ClassName, number>>> = {
  ...{ range: 100, 'mid-file': 100, head: 80, cold: 80, read: 80, put: 250 },
};
/** From another region, and between services. */
const P95_FAR = 200;
const NEAR = { p95: 40, p99: 120 } as const;
const MOST = { errors: 0.001, shed: 0.01, dropped: 0.0001 } as const;

interface Judged {
  readonly text: string;
  readonly good: boolean;
}

async function main(): Promise<void> {
  const results: Judged[] = [];
  for (const name of values.workload.split(',')) {
    const judged = await inArea(undefined, (area) => measured(name, area));
    for (const { text, good } of judged) process.stdout.write(`${good ? 'kept  ' : 'MISSED'}  ${text}\n`);
    results.push(...judged);
  }
  if (results.some(({ good }) => !good)) process.exitCode = 1;
}

async function measured(name: string, area: Area): Promise<Judged[]> {
  const { subject, workload, rate, far = false, after = async () => [] } = await prepared(name, area);
  try {
    const result = await driven(subject, workload, { rate, seconds: SECONDS });
    const kept = await after();
    process.stdout.write(`\n== ${name}: ${rate} requests/s for ${SECONDS} s\n${render(result)}\n`);
    return [...judge(result, rate, far), ...kept];
  } finally {
    await subject.close();
  }
}

interface Prepared {
  readonly subject: Subject;
  readonly workload: Workload;
  readonly rate: number;
  readonly far?: boolean;
  /** What must hold once the load is over. */
  readonly after?: () => Promise<readonly Judged[]>;
}

async function prepared(name: string, { dir }: Area): Promise<Prepared> {
  const { program } = values;
  if (name === 'soak') {
    const vault = await createVault(dir);
    const bytes = MIB;
    const paths = await putRandom(
      vault.home,
      Array.from({ length: 24 }, () => bytes),
    );
    const subject = await startGatewayOver(dir, vault.home, program);
    const after = async () => [await allWhole(subject, paths, bytes)];
    return { subject, workload: soak(paths, bytes), rate: RATE / 5, after };
  }
  if (name === 'region') {
    const { subject, root } = await startRegion(dir, program);
    return { subject, workload: farReads(await writeContent(root)), rate: RATE / 5, far: true };
  }
  const { subject, root } = await startNodeOver(dir, program);
  const content = await writeContent(root);
  const workloads = { a: workloadA, b: workloadB, abuse };
  const workload = workloads[name as keyof typeof workloads];
  if (workload === undefined) throw new TypeError(`there is no workload "${name}"`);
  return { subject, workload: workload(content), rate: RATE };
}

/** An answer that is complete is right: the gateway checks what it sends. */
async function allWhole(subject: Subject, paths: readonly string[], bytes: number): Promise<Judged> {
  const wire = new Wire(subject.port);
  let whole = 0;
  for (const path of paths) {
    const answer = await wire.ask({ method: 'GET', path });
    if (answer.status === 200 && answer.bytes === bytes) whole++;
  }
  wire.close();
  return { text: `objects whole afterwards: ${whole} of ${paths.length}`, good: whole === paths.length };
}

function render({
  classes,
  seconds,
  cpuSeconds,
  rss,
  most,
  requests,
  errors,
  shed,
  dropped,
}: Driven): string {
  const rows = [...classes].map(([name, times]) => [
    name,
    String(times.length),
    ...[0.5, 0.95, 0.99].map((share) => percentile(times, share).toFixed(1)),
  ]);
  const share = (count: number): string => `${((100 * count) / requests).toFixed(3)} %`;
  return [
    columns([['', 'requests', 'p50 ms', 'p95', 'p99'], ...rows]),
    `${(requests / seconds).toFixed(0)} answers/s, ${((100 * cpuSeconds) / seconds).toFixed(0)} % of a core, ` +
      `memory ${(rss / MIB).toFixed(0)} MiB, ${(most / MIB).toFixed(0)} at the most`,
    `5xx ${share(errors)}, 429/503 ${share(shed)}, events dropped ${share(dropped)}`,
  ].join('\n');
}

function judge(
  { classes, seconds, requests, errors, shed, dropped }: Driven,
  rate: number,
  far: boolean,
): Judged[] {
  const judged: Judged[] = [];
  const under = (what: string, value: number, most: number, unit: string): void => {
    judged.push({ text: `${what}: ${value.toFixed(3)} ${unit}, at most ${most}`, good: value <= most });
  };
  for (const [name, times] of classes) {
    const most = far ? P95_FAR : P95[name];
    if (most !== undefined) under(`p95 of ${name}`, percentile(times, 0.95), most, 'ms');
  }
  const near = [...(classes.get('range') ?? []), ...(classes.get('head') ?? [])];
  if (near.length > 0) {
    under('between services, p95', percentile(near, 0.95), NEAR.p95, 'ms');
    under('between services, p99', percentile(near, 0.99), NEAR.p99, 'ms');
  }
  for (const [what, count, most] of [
    ['5xx', errors, MOST.errors],
    ['429/503', shed, MOST.shed],
    ['events dropped', dropped, MOST.dropped],
  ] as const)
    under(`share of ${what}`, count / requests, most, '');
  const answered = requests / seconds;
  judged.push({ text: `answers: ${answered.toFixed(0)} of ${rate} a second`, good: answered >= 0.98 * rate });
  return judged;
}

await main();
process.exit();
