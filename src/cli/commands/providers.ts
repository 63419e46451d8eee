import { createUsageStore } from '../../catalog/quota.ts';
import type { Config } from '../../config/types.ts';
import { accelerationFrom } from '../../core/acceleration.ts';
import { systemClock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { secureRandom } from '../../core/random.ts';
import { initFsProvider, readProviderId } from '../../providers/fs/layout.ts';
import type { ConformanceResult } from '../../providers/testing/index.ts';
import { openEngine } from '../../vault/open-engine.ts';
import { silent } from '../../vault/settings.ts';
import type { Vault } from '../../vault/vault.ts';
import { configOf } from '../config-of.ts';
import { enginesLine, engineWarnings } from '../engines-text.ts';
import { EXIT } from '../exit-codes.ts';
import type { CliContext, CommonFlags, ConfigFlags } from '../flags.ts';
import { type Io, note, output } from '../io.ts';
import { notConfigured, renderProviders } from '../providers-table.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

export async function list(this: CliContext, flags: CommonFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    await withVault(io, flags, async (vault) => {
      await show(vault, io, flags);
    });
    return undefined;
  });
}

export async function probe(this: CliContext, flags: CommonFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const reports = await withVault(io, flags, async (vault) => {
      const answers = await vault.providers.probe({ signal: io.signal });
      await show(vault, io, flags);
      return answers;
    });
    return reports.every(({ error }) => error !== undefined) ? EXIT.notEnough : EXIT.done;
  });
}

async function show(vault: Vault, io: Io, flags: CommonFlags): Promise<void> {
  const config = await configOf(flags, io);
  const snapshot = await vault.providers.list({ signal: io.signal });
  const unknown = await notConfigured(vault, snapshot, io.signal);
  output(
    io,
    flags.json,
    [...snapshot, ...unknown],
    () => `${renderProviders(snapshot, unknown)}\n\n${enginesLine(config)}`,
  );
  for (const warning of engineWarnings(config)) note(io, `warning: ${warning}`);
}

export async function maintenance(
  this: CliContext,
  flags: CommonFlags,
  id: string,
  state: 'on' | 'off',
): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    await withVault(io, flags, (vault) =>
      vault.providers.setMaintenance(id, state === 'on', { signal: io.signal }),
    );
    output(io, flags.json, { provider: id, maintenance: state === 'on' }, () =>
      state === 'on'
        ? `${id} gets no new shards; what it holds stays readable`
        : `${id} may take new shards again`,
    );
    return undefined;
  });
}

export async function lost(
  this: CliContext,
  flags: CommonFlags,
  id: string,
  state: 'on' | 'off',
): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    await withVault(io, flags, (vault) => vault.providers.setLost(id, state === 'on', { signal: io.signal }));
    output(io, flags.json, { provider: id, lost: state === 'on' }, () =>
      state === 'on'
        ? `${id} is taken for gone for good: \`holdfast repair-run\` rebuilds elsewhere what it held`
        : `${id} is there again and may take new shards`,
    );
    return undefined;
  });
}

/** Makes the folder of one configured provider: a new one, or an empty one in place of one that was lost. */
export async function init(this: CliContext, flags: ConfigFlags, id: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const config = await configOf(flags, io);
    const provider = config.providers.find((candidate) => candidate.id === id);
    if (provider === undefined) throw unknownProvider(id);
    if (provider.adapter !== 'fs') {
      throw new HoldfastError('ConfigInvalid', `${id} is not a folder: there is nothing to prepare`);
    }
    const before = await readProviderId(provider.root).catch(() => undefined);
    await initFsProvider(provider.root, id);
    if (before === undefined) await startAtNothing(config, id, io.env);
    output(io, flags.json, { provider: id, root: provider.root }, () => `${id} is ready in ${provider.root}`);
    return undefined;
  });
}

/** What is new is empty, whatever its predecessor of that name held. */
async function startAtNothing(config: Config, id: string, env: Io['env']): Promise<void> {
  const engine = await openEngine(config, silent, env);
  try {
    const all = new Map([[id, -Number.MAX_SAFE_INTEGER]]);
    const { failures } = await createUsageStore(engine).add(all, { sync: true });
    if (failures.has(id)) throw failures.get(id);
  } finally {
    await engine.close();
  }
}

/** Runs the adapter contract against a live provider, through all its layers, and removes what it stored. */
export async function validate(this: CliContext, flags: ConfigFlags, id: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const config = await configOf(flags, io);
    if (!config.providers.some((candidate) => candidate.id === id)) throw unknownProvider(id);
    const result = await validateProvider(config, id, io);
    output(io, flags.json, result, () =>
      [
        ...result.cases
          .filter(({ outcome }) => outcome !== 'passed')
          .map(
            ({ name, outcome, reason }) => `${outcome}: ${name}${reason === undefined ? '' : `: ${reason}`}`,
          ),
        `${id}: ${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`,
      ].join('\n'),
    );
    return result.failed === 0 ? EXIT.done : EXIT.integrity;
  });
}

async function validateProvider(config: Config, id: string, io: Io): Promise<ConformanceResult> {
  const [{ runConformance }, { selectBlake3 }, { buildProviders }] = await Promise.all([
    import('../../providers/testing/index.ts'),
    import('../../core/b3/select.ts'),
    import('../../vault/assemble.ts'),
  ]);
  const base = {
    clock: systemClock,
    random: secureRandom,
    blake3: await selectBlake3(accelerationFrom(io.env)),
  };
  const one = { ...config, providers: config.providers.filter((provider) => provider.id === id) };
  const deps = { ...base, env: io.env, onAttempt: () => {}, log: () => {} };
  return runConformance({ ...base, open: async () => (await buildProviders(one, deps))[0]!.adapter });
}

function unknownProvider(id: string): HoldfastError {
  return new HoldfastError('NotFound', `no provider "${id}" is configured`, {
    code: 'unknown_provider',
    hint: 'See `holdfast providers`.',
  });
}
