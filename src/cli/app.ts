import {
  type Application,
  buildApplication,
  buildRouteMap,
  type Command,
  ExitCode,
  type RouteMap,
  run,
} from '@stricli/core';
import type { CliContext } from './flags.ts';
import { anchor } from './routes/anchor.ts';
import { lock, unlock } from './routes/keys.ts';
import {
  audit,
  gc,
  manifest,
  manifests,
  recover,
  repairChunk,
  repairHistory,
  repairRun,
  scrub,
  status,
} from './routes/manifests.ts';
import { du, get, init, ls, put, recode, rm, stat, verify } from './routes/objects.ts';
import { evacuate, providers, rebalance, replace } from './routes/providers.ts';
import { receipts } from './routes/receipts.ts';
import { daemon, gateway, node } from './routes/services.ts';
import { bench, completion, config, demo, doctor, migrate, offer, plan } from './routes/tools.ts';
import { type CommandTable, commandTable } from './shell/command-table.ts';

const DESCRIPTION = `Objects on many storage providers, with a computed statement of how many may vanish.

\`holdfast COMMAND --help\` says what a command takes, \`holdfast --version\` which version this is.
The passphrase is HOLDFAST_PASSPHRASE, else in the file HOLDFAST_PASSPHRASE_FILE, else asked for;
\`holdfast unlock\` asks once for a while.
Exit codes: 0 done, 1 unexpected or no access to a local file, 2 usage or configuration, 3 not found, 4 not enough
providers, shards or space, 5 integrity or authentication, 6 refused by policy, 7 interrupted.`;

/** In a list of commands each takes a line: its own help has its options. */
const listed = (command: Command<CliContext>): Command<CliContext> => ({
  ...command,
  formatUsageLine: (args) =>
    command.formatUsageLine({ ...args, config: { ...args.config, onlyRequiredInUsageLine: true } }),
});

const routes: RouteMap<CliContext> = buildRouteMap({
  routes: {
    init: listed(init),
    unlock: listed(unlock),
    lock: listed(lock),
    put: listed(put),
    get: listed(get),
    ls: listed(ls),
    du: listed(du),
    stat: listed(stat),
    rm: listed(rm),
    verify: listed(verify),
    providers,
    manifests: listed(manifests),
    manifest: listed(manifest),
    recover: listed(recover),
    gc: listed(gc),
    scrub: listed(scrub),
    audit: listed(audit),
    status: listed(status),
    repairRun: listed(repairRun),
    repairChunk: listed(repairChunk),
    repairHistory: listed(repairHistory),
    evacuate: listed(evacuate),
    replace: listed(replace),
    rebalance: listed(rebalance),
    recode: listed(recode),
    migrate: listed(migrate),
    receipts,
    anchor,
    plan: listed(plan),
    config: listed(config),
    doctor: listed(doctor),
    bench,
    demo: listed(demo),
    node: listed(node),
    gateway: listed(gateway),
    daemon: listed(daemon),
    completion: listed(completion),
    offer,
  },
  docs: { brief: DESCRIPTION.split('.')[0]!, fullDescription: DESCRIPTION, hideRoute: { offer: true } },
});

/** @internal A test lets it parse what the documents say, and runs nothing. */
export const app: Application<CliContext> = buildApplication(routes, {
  name: 'holdfast',
  scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
  documentation: { caseStyle: 'convert-camel-to-kebab', disableAnsiColor: true },
});

/** The parser's refusals, which it leaves as the process's exit code; negative. */
export const UNKNOWN_COMMAND: number = ExitCode.UnknownCommand;

/** All commands, as they are parsed. @internal The manual and the tests of the documents are made from them too. */
export const commands = (): CommandTable => commandTable(routes);

/** Runs the command that `args` name; its exit code is left in `context`. */
export const runApp = (args: readonly string[], context: Omit<CliContext, 'commandTable'>): Promise<void> =>
  run(app, args, Object.assign(context, { commandTable: commands }));
