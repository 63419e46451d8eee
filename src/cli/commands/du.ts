import { entryOf } from '../../core/maps.ts';
import type { NamedObject } from '../../records/name-page.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, table } from '../format.ts';
import { output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { collected, withVault } from '../with-vault.ts';

interface DuFlags extends CommonFlags {
  readonly depth: number;
}

interface Usage {
  readonly prefix: string;
  objects: number;
  size: number;
}

/** Sums up what names stand for, by the parts of the names between slashes. */
export default async function du(this: CliContext, flags: DuFlags, prefix = ''): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const objects = await withVault(io, flags, (vault) =>
      collected(vault.listObjects({ prefix, signal: io.signal })),
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
    return undefined;
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
