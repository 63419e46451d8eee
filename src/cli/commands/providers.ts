import type { ProviderSnapshot } from '../../catalog/index.ts';
import type { Config } from '../../config/types.ts';
import { accelerationFrom } from '../../core/acceleration.ts';
import { systemClock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { secureRandom } from '../../core/random.ts';
import { initFsProvider } from '../../providers/fs/index.ts';
import type { ConformanceResult } from '../../providers/testing/index.ts';
import { configOf } from '../config-of.ts';
import { EXIT } from '../exit-codes.ts';
import type { CliContext, CommonFlags, ConfigFlags } from '../flags.ts';
import { bytes, table } from '../format.ts';
import { type Io, output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

export async function list(this: CliContext, flags: CommonFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const snapshot = await withVault(io, flags, async (vault) => vault.internals.catalog.snapshot());
    output(io, flags.json, snapshot, () => render(snapshot));
    return undefined;
  });
}

export async function probe(this: CliContext, flags: CommonFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const snapshot = await withVault(io, flags, async (vault) => {
      await vault.internals.probe(io.signal);
      return vault.internals.catalog.snapshot();
    });
    output(io, flags.json, snapshot, () => render(snapshot));
    return undefined;
  });
}

export async function maintenance(
  this: CliContext,
  flags: CommonFlags,
  id: string,
  state: 'on' | 'off',
): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    await withVault(io, flags, async (vault) => {
      const { catalog } = vault.internals;
      if (!catalog.providers.some((provider) => provider.id === id)) throw unknownProvider(id);
      await catalog.setMaintenance(id, state === 'on', { signal: io.signal });
    });
    output(io, flags.json, { provider: id, maintenance: state === 'on' }, () =>
      state === 'on'
        ? `${id} gets no new shards; what it holds stays readable`
        : `${id} may take new shards again`,
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
    await initFsProvider(provider.root, id);
    output(io, flags.json, { provider: id, root: provider.root }, () => `${id} is ready in ${provider.root}`);
    return undefined;
  });
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
    import('../../compose/providers.ts'),
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

function render(providers: readonly ProviderSnapshot[]): string {
  const rows = providers.map((provider) => [
    provider.id,
    provider.state,
    provider.rttMs === undefined ? '-' : `${provider.rttMs.toFixed(1)} ms`,
    `${(100 * provider.lossRate).toFixed(1)} %`,
    provider.bytesPerSecond === undefined ? '-' : `${bytes(provider.bytesPerSecond)}/s`,
    bytes(provider.preferredChunk),
    `${(100 * provider.successRate).toFixed(1)} %`,
    `${provider.totalSlow} / ${provider.totalFailures} / ${provider.totalLies}`,
    provider.quotaBytes === undefined
      ? bytes(provider.usedBytes)
      : `${bytes(provider.usedBytes)} of ${bytes(provider.quotaBytes)}`,
    provider.why,
  ]);
  const head = [
    'id',
    'state',
    'RTT',
    'loss',
    'bandwidth',
    'chunk',
    'success',
    'slow/failed/lied',
    'used',
    'why',
  ];
  return table([head, ...rows]);
}

function unknownProvider(id: string): HoldfastError {
  return new HoldfastError('NotFound', `no provider "${id}" is configured`, {
    code: 'unknown_provider',
    hint: 'See `holdfast providers`.',
  });
}
