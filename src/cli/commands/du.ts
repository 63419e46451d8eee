import { HoldfastError } from '../../core/errors.ts';
import { entryOf } from '../../core/maps.ts';
import type { NamedObject } from '../../records/name-page.ts';
import { holdings } from '../../upkeep/holdings.ts';
import { internalsOf } from '../../vault/opened-vault.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, isoTime, table } from '../format.ts';
import { type Io, output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { DamagedNames } from '../warnings.ts';
import { collected, withVault } from '../with-vault.ts';

interface DuFlags extends CommonFlags {
  readonly depth: number;
  readonly atProviders: boolean;
}

interface Usage {
  readonly prefix: string;
  objects: number;
  size: number;
}

/** Sums up what names stand for, by the parts of the names between slashes. */
export default async function du(this: CliContext, flags: DuFlags, prefix = ''): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    if (flags.atProviders) return showHoldings(io, flags, prefix);
    const damaged = new DamagedNames();
    const objects = await withVault(io, flags, (vault) =>
      collected(vault.listObjects({ prefix, onDamaged: damaged.onDamaged, signal: io.signal })),
    );
    const total = sum(objects);
    const groups = groupsOf(objects, prefix, flags.depth);
    output(io, flags.json, { prefix, ...total, groups }, () =>
      table([
        ['size', 'objects', 'names'],
        ...groups.map(({ size, objects: count, prefix: name }) => [bytes(size), count, name]),
        [bytes(total.size), total.objects, prefix === '' ? 'in all' : `in all, below ${prefix}`],
      ]),
    );
    return damaged.tell(io);
  });
}

/** What the providers say that they hold, manifests too, beside the shards that this vault knows to be there. */
async function showHoldings(io: Io, flags: DuFlags, prefix: string): Promise<ExitCode> {
  if (prefix !== '') throw notByName();
  const rows = await withVault(io, flags, async (vault) => {
    const { catalog } = internalsOf(vault);
    const known = new Map(catalog.snapshot().map(({ id, usedBytes }) => [id, usedBytes]));
    const found = await holdings(catalog.providers, io.signal);
    return found.map((holding) => ({ ...holding, usedBytes: known.get(holding.provider) ?? 0 }));
  });
  const shown = rows.map(({ error, ...row }) => ({ ...row, error: error?.message }));
  output(io, flags.json, { providers: shown }, () =>
    table([
      ['provider', 'blobs', 'size', 'known shards', 'youngest', ''],
      ...shown.map((row) => [
        row.provider,
        row.blobs,
        row.untold === 0 ? bytes(row.bytes) : `over ${bytes(row.bytes)}`,
        bytes(row.usedBytes),
        row.youngestUnixMs === undefined ? '' : isoTime(row.youngestUnixMs),
        row.error ?? '',
      ]),
    ]),
  );
  const failed = rows.filter(({ error }) => error !== undefined).length;
  return failed > 0 && failed === rows.length ? EXIT.notEnough : EXIT.done;
}

function notByName(): HoldfastError {
  return new HoldfastError('ConfigInvalid', 'providers do not know names', {
    code: 'usage',
    hint: 'Leave out the prefix, or --at-providers.',
  });
}

function groupsOf(objects: readonly NamedObject[], prefix: string, depth: number): Usage[] {
  const groups = new Map<string, Usage>();
  for (const { name, size } of objects) {
    const group = groupOf(name, prefix, depth);
    const usage = entryOf(groups, group, () => ({ prefix: group, objects: 0, size: 0 }));
    usage.objects++;
    usage.size += size;
  }
  return [...groups.values()].sort((a, b) => b.size - a.size || (a.prefix < b.prefix ? -1 : 1));
}

/** The name as far as its slash number `depth` after the prefix; a name with fewer stands for itself. */
function groupOf(name: string, prefix: string, depth: number): string {
  let end = prefix.length;
  for (let slash = 0; slash < depth; slash++) {
    const next = name.indexOf('/', end);
    if (next < 0) return name;
    end = next + 1;
  }
  return name.slice(0, end);
}

const sum = (objects: readonly NamedObject[]): { objects: number; size: number } => ({
  objects: objects.length,
  size: objects.reduce((total, { size }) => total + size, 0),
});
