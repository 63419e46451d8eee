import type { Config } from '../../config/types.ts';
import { isHoldfastError } from '../../core/errors.ts';
import { findConfigText, homeOf } from '../../vault/load-config.ts';
import { enginesOf, NOTHING_KNOWN } from '../doctor/engines.ts';
import { AREAS, type Area, type Finding, fail, ok, warn, within } from '../doctor/finding.ts';
import { disksOf, kernelsOf, type Need, versionsOf } from '../doctor/machine.ts';
import { permissionsOf } from '../doctor/permissions.ts';
import { answersOf, clockOf } from '../doctor/providers.ts';
import { EXIT } from '../exit-codes.ts';
import type { CliContext, ConfigFlags } from '../flags.ts';
import { type Io, output } from '../io.ts';
import { runCommand } from '../run-command.ts';

export interface DoctorFlags extends ConfigFlags {
  readonly noWrites: boolean;
}

const LOCAL_MS = 10_000;
const KERNELS_MS = 30_000;
const ENGINE_MS = 5_000;
/** Each provider has a deadline of its own; this is for a list that never ends. */
const ALL_PROVIDERS_MS = 300_000;
/** What the home itself takes: its reserve, and LevelDB's files as they are written anew. */
const HOME_BYTES = 16 * 2 ** 20;

/** Looks at everything that a vault stands on, whatever of it is broken, and says what to do. */
export default async function doctor(this: CliContext, flags: DoctorFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const findings = await examine(io, flags);
    const sorted = AREAS.flatMap((area) => findings.filter((finding) => finding.area === area));
    const failed = sorted.some(({ verdict }) => verdict === 'fail');
    const verdict = failed ? 'fail' : sorted.some((finding) => finding.verdict === 'warn') ? 'warn' : 'ok';
    output(io, flags.json, { verdict, findings: sorted }, () => [...render(sorted)].join('\n'));
    return failed ? EXIT.unexpected : EXIT.done;
  });
}

async function examine(io: Io, flags: DoctorFlags): Promise<readonly Finding[]> {
  const { signal, env } = io;
  const home = homeOf({ home: flags.home, env, cwd: io.cwd });
  const { config, findings } = await configOf(io, flags);
  const local = (area: Area, subject: string, work: () => Promise<readonly Finding[]>) =>
    within(area, subject, LOCAL_MS, signal, work);
  const found = await Promise.all([
    versionsOf(process.version),
    within('kernels', 'the kernels', KERNELS_MS, signal, () => kernelsOf(env)),
    local('permissions', 'permissions', () => permissionsOf(home, config)),
    local('disk', 'disks', () => disksOf(needsOf(home, config))),
    config === undefined ? notLookedAt() : outside(io, flags, config),
  ]);
  return [...findings, ...found.flat()];
}

/** The engines first: what they know of providers is told with these. */
async function outside(io: Io, { noWrites }: DoctorFlags, config: Config): Promise<readonly Finding[]> {
  let known = NOTHING_KNOWN;
  const engines = await within('engines', 'the state', 3 * ENGINE_MS, io.signal, async (signal) => {
    const seen = await enginesOf(config, io.env, ENGINE_MS, signal);
    known = seen.known;
    return seen.findings;
  });
  const providers = await within('providers', 'providers', ALL_PROVIDERS_MS, io.signal, async () => {
    const answers = await answersOf(config, known, io, !noWrites);
    return [...answers.map(({ finding }) => finding), ...clockOf(answers)];
  });
  return [...engines, ...providers];
}

async function configOf(
  io: Io,
  flags: ConfigFlags,
): Promise<{ readonly config: Config | undefined; readonly findings: readonly Finding[] }> {
  try {
    const location = { file: flags.config, home: flags.home, env: io.env, cwd: io.cwd };
    const { config } = await findConfigText(location);
    const warnings = config.warnings.map(({ code, message }) =>
      warn('config', `${code}: ${message}`, 'End the emergency as soon as it is over.'),
    );
    return { config, findings: [ok('config', `${config.file}: accepted`), ...warnings] };
  } catch (thrown) {
    if (!isHoldfastError(thrown)) throw thrown;
    const todo = thrown.hint ?? 'Correct the file.';
    const findings = thrown.message.split('\n').map((line) => fail('config', line, todo));
    return { config: undefined, findings };
  }
}

const notLookedAt = (): readonly Finding[] =>
  (['clock', 'engines', 'providers'] as const).map((area) =>
    warn(area, 'not looked at: the configuration is broken', 'Correct the configuration, and run it again.'),
  );

function needsOf(home: string, config: Config | undefined): readonly Need[] {
  const own = { folder: home, bytes: HOME_BYTES, what: 'the state' };
  if (config === undefined) return [own];
  const roots = config.providers.flatMap((provider) =>
    provider.adapter === 'fs'
      ? [{ folder: provider.root, bytes: config.packs.targetBytes, what: 'a pack for each provider' }]
      : [],
  );
  const { root, minFreeBytes } = config.node;
  const node = root === '' ? [] : [{ folder: root, bytes: minFreeBytes, what: 'node.min_free_bytes' }];
  return [own, ...roots, ...node];
}

function* render(findings: readonly Finding[]): Generator<string> {
  for (const { area, verdict, what, todo } of findings) {
    yield `${verdict.padEnd(4)}  ${area.padEnd(11)}  ${what}`;
    if (todo !== undefined) yield `${' '.repeat(19)}${todo}`;
  }
}
