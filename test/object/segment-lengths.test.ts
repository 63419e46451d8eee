import { expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import type { OpenRoot } from '../../src/manifest/root.ts';
import { DamageLog } from '../../src/object/damage.ts';
import { type NodeMemory, type OpenNode, readableSegments } from '../../src/object/readable-segments.ts';
import { testVault } from '../helpers/vault.ts';

it.each([
  ['fewer', 9],
  ['more', 11],
])(
  'a segment that has %s bytes than the node above says is refused before anything is read',
  async (_, stated) => {
    const { context } = await testVault({ providers: 1 });
    const segment = { view: {}, secrets: { plainLens: [4, 6] } } as unknown as OpenNode;
    const manifest = addressOf(new Uint8Array(32));
    const nodes: NodeMemory = { get: () => segment, set() {} };
    const root = {
      record: { body: { depth: 0, segment: {} } },
      secrets: { size: stated },
    } as unknown as OpenRoot;
    const read = async (): Promise<void> => {
      const segments = readableSegments(
        context,
        { manifest, root, nodes },
        { start: 0, end: 5 },
        new DamageLog(),
      );
      for await (const _ of segments) expect.unreachable();
    };
    await expect(read()).rejects.toMatchObject({ kind: 'Corrupt', code: 'malformed_manifest' });
  },
);
