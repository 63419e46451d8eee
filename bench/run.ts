import { availableParallelism, cpus, loadavg } from 'node:os';
import { type Area, inArea } from './area.ts';
import { benchErasure } from './erasure.ts';
import { benchGateway, type GatewayFigure, renderGateway } from './gateway.ts';
import { createInputs, type Input } from './inputs.ts';
import { microBenchmarksApart } from './kernel-worker.ts';
import { benchLoad, type LoadFigure, renderLoad } from './load.ts';
import type { MicroFigure } from './micro.ts';
import { MORE } from './more.ts';
import { MORE_PARTS, type MorePart, type Options, parseOptions } from './options.ts';
import { renderMicro, renderThroughput } from './report.ts';
import { benchStart, renderStart, type StartFigure } from './start.ts';
import { benchTail, renderTail, type TailFigure } from './tail.ts';
import { type Throughput, throughput } from './throughput.ts';

const TAIL_OPERATIONS = 200;

interface Report {
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly loadBefore: number;
  readonly tmpfs: boolean;
  throughput: Throughput[];
  start?: readonly StartFigure[];
  micro?: readonly MicroFigure[];
  erasure?: readonly string[];
  tail?: readonly TailFigure[];
  load?: readonly LoadFigure[];
  gateway?: readonly GatewayFigure[];
  more: Partial<Record<MorePart, unknown>>;
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  await inArea(options.dir, (area) => run(options, area));
}

async function run(options: Options, area: Area): Promise<void> {
  const print = (text: string): void => void (options.json || process.stdout.write(`${text}\n`));
  const say = (text: string): void => void (process.stderr.isTTY && process.stderr.write(`  ${text}\n`));
  const report: Report = {
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    loadBefore: loadavg()[0]!,
    tmpfs: area.tmpfs,
    throughput: [],
    more: {},
  };
  print(
    `${report.cores} cores of ${report.cpu}, Node ${report.node}, load ${report.loadBefore.toFixed(1)} at the start; ` +
      `${options.runs} runs, medians\n${area.tmpfs ? 'on a tmpfs' : 'NOT on a tmpfs: the disk is measured too'}: ${area.dir}\n`,
  );
  const inputs = createInputs(area, options.size);
  if (options.only.has('random')) {
    await both(options, area, report, await inputs.random(), print, say);
  }
  if (options.only.has('real')) await both(options, area, report, await inputs.real(), print, say);
  if (options.only.has('start')) {
    report.start = await benchStart(area, options.runs);
    print(`${renderStart(report.start)}\n`);
  }
  if (options.only.has('micro')) {
    report.micro = await microBenchmarksApart((await inputs.real()).file);
    print(`${renderMicro(report.micro)}\n`);
    const lines: string[] = [];
    await benchErasure({ native: true, wasm: true, print: (text) => void lines.push(text) });
    report.erasure = lines;
    print(lines.join('\n'));
  }
  if (options.only.has('tail')) {
    report.tail = await benchTail(TAIL_OPERATIONS, say);
    print(`${renderTail(report.tail)}\n`);
  }
  if (options.only.has('load')) {
    report.load = await benchLoad(area, options.runs, say);
    print(`${renderLoad(report.load)}\n`);
  }
  if (options.only.has('gateway')) {
    report.gateway = await benchGateway(area, options.runs, say);
    print(`${renderGateway(report.gateway)}\n`);
  }
  for (const part of MORE_PARTS) {
    if (!options.only.has(part)) continue;
    const { figures, text } = await MORE[part]({ area, inputs, options, say });
    report.more[part] = figures;
    print(`${text}\n`);
  }
  if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`);
}

async function both(
  options: Options,
  area: Area,
  report: Report,
  { madeOf, file }: Input,
  print: (text: string) => void,
  say: (text: string) => void,
): Promise<void> {
  const { runs, only } = options;
  const wanted = { runs, kernels: only.has('kernels'), peers: only.has('peers'), say };
  const result = await throughput(area, madeOf, file, wanted);
  report.throughput.push(result);
  print(`${renderThroughput(result)}\n`);
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof TypeError ? error.message : String((error as Error).stack)}\n`);
  process.exitCode = error instanceof TypeError ? 2 : 1;
});
