import dns from 'node:dns';
import { parseArgs } from 'node:util';
import { conformanceCases, runCase } from '../../../src/providers/testing/index.ts';
import { deps } from '../../providers/deps.ts';
import { launchServer, type RunningServer } from '../servers.ts';
import { runLitmus } from './litmus.ts';
import { type Row, renderLitmus, renderRows } from './report.ts';
import { TARGETS, type Target } from './targets.ts';

const USAGE = `npm run conformance -- [--json] [--only TEXT] [--no-litmus]
Every adapter against every server that is installed; exit code 1 when a case fails.`;

/** Names under localhost are this machine (RFC 6761, 6.3), which not every resolver knows. */
function answerForLocalhost(): void {
  const { lookup } = dns;
  dns.lookup = ((name: string, ...rest: [never, never]) =>
    lookup(name.endsWith('.localhost') ? '127.0.0.1' : name, ...rest)) as typeof lookup;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      'no-litmus': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  answerForLocalhost();
  const wanted = TARGETS.filter(({ adapter, name }) => `${adapter} ${name}`.includes(values.only));
  if (wanted.length === 0) throw new TypeError(`nothing is called "${values.only}"\n${USAGE}`);
  const rows = await runAll(wanted, (text) => void (values.json || console.error(text)));
  const litmus = values['no-litmus'] ? [] : await runLitmus();
  if (values.json)
    console.log(JSON.stringify({ cases: conformanceCases.length, rows, litmus }, undefined, 2));
  else {
    console.log(`${conformanceCases.length} cases\n${renderRows(rows)}`);
    if (litmus.length > 0) console.log(`\n${renderLitmus(litmus)}`);
  }
  return rows.some(({ failed }) => failed > 0) ? 1 : 0;
}

/** One server at a time, so that they do not slow each other down. */
async function runAll(targets: readonly Target[], say: (text: string) => void): Promise<Row[]> {
  const rows: Row[] = [];
  for (const script of new Set(targets.map((target) => target.script))) {
    const its = targets.filter((target) => target.script === script);
    const server = script === undefined ? undefined : await launchServer(script).catch(asError);
    if (server instanceof Error) {
      rows.push(...its.map((target) => failedRow(target, 'start of the server', server)));
    } else if (server !== undefined && 'missing' in server) {
      rows.push(...its.map((target) => ({ ...emptyRow(target), absent: server.missing })));
    } else {
      for (const target of its) {
        say(`${target.adapter} on ${target.name}`);
        rows.push(await runTarget(target, server).catch((e) => failedRow(target, 'opening', asError(e))));
      }
      await server?.stop();
    }
  }
  const order = targets.map(({ adapter, name }) => `${adapter} ${name}`);
  const at = ({ adapter, server }: Row): number => order.indexOf(`${adapter} ${server}`);
  return rows.sort((a, b) => at(a) - at(b));
}

async function runTarget(target: Target, server: RunningServer | undefined): Promise<Row> {
  const opened = await target.open(server);
  const skips: Record<string, number> = {};
  const failures: { name: string; reason: string }[] = [];
  let passed = 0;
  const started = performance.now();
  try {
    for (const test of conformanceCases) {
      const result = await runCase(test, { ...deps, ...opened, open: () => opened.adapter() });
      if (result.outcome === 'passed') passed++;
      else if (result.outcome === 'failed') failures.push({ name: test.name, reason: result.reason ?? '?' });
      else {
        const why = test.requires === 'slots' ? target.noSlots : undefined;
        const reason = why ?? result.reason ?? 'no reason given';
        skips[reason] = (skips[reason] ?? 0) + 1;
      }
    }
  } finally {
    await opened.close();
  }
  const skipped = Object.values(skips).reduce((sum, count) => sum + count, 0);
  const seconds = (performance.now() - started) / 1000;
  return { ...emptyRow(target), passed, skipped, failed: failures.length, seconds, skips, failures };
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

const failedRow = (target: Target, name: string, { message }: Error): Row => ({
  ...emptyRow(target),
  failed: 1,
  failures: [{ name, reason: message }],
});

const emptyRow = ({ adapter, name }: Target): Row => ({
  adapter,
  server: name,
  passed: 0,
  skipped: 0,
  failed: 0,
  seconds: 0,
  skips: {},
  failures: [],
});

process.exitCode = await main().catch((error: unknown) => {
  console.error(error instanceof TypeError ? error.message : error);
  return 2;
});
