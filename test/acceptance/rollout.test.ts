import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createVault, openVault, type Vault } from '../../src/index.ts';
import { noise } from '../helpers/vault.ts';

const CODERS = ['lrc', 'reed-solomon', 'xor'] as const;
const COMPRESSORS = ['none', 'zstd', 'deflate', 'lz77-rle', 'rle'] as const;
const SWITCH = 'HOLDFAST_STORAGE_FALLBACK_EMERGENCY';
const BOOLEANS = [false, true];

interface Choice {
  readonly coder: (typeof CODERS)[number];
  readonly compressor: (typeof COMPRESSORS)[number];
}
interface Toggles {
  readonly coder: boolean;
  readonly compressor: boolean;
  readonly needsSwitch: boolean;
  readonly switchValue: string | undefined;
}

const CHOICES: readonly Choice[] = CODERS.flatMap((coder) =>
  COMPRESSORS.map((compressor) => ({ coder, compressor })),
);
const TOGGLES: readonly Toggles[] = BOOLEANS.flatMap((coder) =>
  BOOLEANS.flatMap((compressor) =>
    BOOLEANS.flatMap((needsSwitch) =>
      [undefined, '0', '1', 'on'].map((switchValue) => ({ coder, compressor, needsSwitch, switchValue })),
    ),
  ),
);
const EVERYTHING: Toggles = { coder: true, compressor: true, needsSwitch: false, switchValue: undefined };
const WARNINGS = {
  coder: 'storage_erasure_fallback_emergency',
  compressor: 'storage_compression_fallback_emergency',
};

interface World {
  open(choice: Choice, toggles: Toggles, warned?: string[]): Promise<Vault>;
}

async function world(providers = 9): Promise<World> {
  const home = await mkdtemp(join(tmpdir(), 'holdfast-rollout-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const folders = Array.from({ length: providers }, (_, i) => ({
    id: `p${i + 1}`,
    adapter: 'fs' as const,
    root: join(home, `providers/p${i + 1}`),
  }));
  await (await createVault({ home, config: { providers: folders }, unwrapped: true, env: {} })).close();
  return {
    open: (choice, toggles, warned = []) =>
      openVault({
        home,
        config: {
          home,
          providers: folders,
          erasure: { algorithm: choice.coder },
          compression: { algorithm: choice.compressor, level: 1 },
          rollout: {
            allowFallbackCoder: toggles.coder,
            allowFallbackCompressor: toggles.compressor,
            requireEmergencySwitch: toggles.needsSwitch,
          },
        },
        env: toggles.switchValue === undefined ? {} : { [SWITCH]: toggles.switchValue },
        log: (level, event) => level === 'warn' && warned.push(event),
      }),
  };
}

/** By the words of the documentation, not by the program's. */
function expected(
  choice: Choice,
  toggles: Toggles,
): { readonly accepted: boolean; readonly warnings: string[] } {
  const isSet = toggles.switchValue === '1' || toggles.switchValue === 'on';
  const may = (permitted: boolean): boolean => permitted && (!toggles.needsSwitch || isSet);
  const usesCoder = choice.coder === 'xor';
  const usesCompressor = choice.compressor === 'rle';
  const accepted = (!usesCoder || may(toggles.coder)) && (!usesCompressor || may(toggles.compressor));
  const warns = accepted && toggles.needsSwitch;
  return {
    accepted,
    warnings: [
      ...(warns && usesCoder ? [WARNINGS.coder] : []),
      ...(warns && usesCompressor ? [WARNINGS.compressor] : []),
    ],
  };
}

const nameOf = ({ coder, compressor }: Choice): string => `${coder} and ${compressor}`;

/** A line for each choice, a mark for each setting of the toggles. */
function printMatrix(marks: ReadonlyMap<string, string>): void {
  const head =
    'columns: fallback coder, fallback compressor, switch needed (0 or 1 each), then the switch: -, 0, 1, on';
  const lines = [...marks].map(([name, row]) => `${name.padEnd(24)} ${row.replace(/.{4}/g, '$& ')}`);
  console.info([head, ...lines, '+ accepted, e accepted by the emergency switch, . refused'].join('\n'));
}

describe('the toggles of fallbacks', () => {
  it('accept or refuse every algorithm under every setting as documented, and warn', async () => {
    const { open } = await world();
    const marks = new Map<string, string>();
    for (const choice of CHOICES) {
      let row = '';
      for (const toggles of TOGGLES) {
        const { accepted, warnings } = expected(choice, toggles);
        const warned: string[] = [];
        const about = JSON.stringify({ ...choice, ...toggles });
        const opened = await open(choice, toggles, warned).catch((error: unknown) => error as Error);
        if (accepted) {
          expect(opened, about).not.toBeInstanceOf(Error);
          await (opened as Vault).close();
        } else {
          expect(opened, about).toMatchObject({ kind: 'ConfigInvalid' });
          expect((opened as Error).message, about).toMatch(/is a fallback and refused/);
        }
        expect(
          warned.filter((event) => event.startsWith('storage_')),
          about,
        ).toEqual(warnings);
        row += accepted ? (warnings.length > 0 ? 'e' : '+') : '.';
      }
      marks.set(nameOf(choice), row);
    }
    printMatrix(marks);
    expect(marks.size).toBe(15);
  });

  it('never stand in the way of reading: what each wrote is read under every other', async () => {
    const { open } = await world();
    const text = new TextEncoder().encode('the same words again and again, '.repeat(3_000));
    for (const choice of CHOICES) {
      await using vault = await open(choice, EVERYTHING);
      await vault.putObject(text, { name: nameOf(choice) });
      await vault.putObject(noise(40_000), { name: `${nameOf(choice)}, noise` });
    }
    const nothing: Toggles = { ...EVERYTHING, coder: false, compressor: false };
    const policies = CHOICES.map((choice) => ({ choice, toggles: EVERYTHING })).concat([
      { choice: { coder: 'lrc', compressor: 'zstd' }, toggles: nothing },
    ]);
    let reads = 0;
    for (const { choice, toggles } of policies) {
      await using vault = await open(choice, toggles);
      for (const written of CHOICES) {
        const read = async (name: string): Promise<Uint8Array> => (await vault.getObject(name)).bytes();
        expect(Buffer.compare(await read(nameOf(written)), text)).toBe(0);
        expect(Buffer.compare(await read(`${nameOf(written)}, noise`), noise(40_000))).toBe(0);
        reads += 2;
      }
    }
    console.info(`${reads} reads of 30 objects under 16 policies, all of them right`);
  });

  it.each([
    [2, 'xor(1+1)'],
    [3, 'xor(2+1)'],
    [9, 'xor(8+1)'],
    [20, 'xor(16+1)'],
  ])(
    'give the fallback coder on %i providers the shape %s, which survives any one of them',
    async (providers, code) => {
      const { open } = await world(providers);
      await using vault = await open({ coder: 'xor', compressor: 'none' }, EVERYTHING);
      const put = await vault.putObject(noise(300_000), { name: 'it' });
      expect(put.certificate).toMatchObject({ code, tolerates: 1 });
      const entries = [];
      for await (const entry of vault.listManifests()) entries.push(entry);
      expect(entries).toMatchObject([{ fallback: { erasure: true, compression: false } }]);
    },
  );
});
