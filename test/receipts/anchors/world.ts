import type { Anchor, AnchorItem } from '../../../src/receipts/anchors/anchor.ts';
import { type LocalAnchorOptions, openLocalAnchor } from '../../../src/receipts/anchors/local.ts';
import type { NoteSigner } from '../../../src/receipts/anchors/note.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { CrashingFiles, ed25519 } from '../world.ts';

export const FOLDER = '/log/public';
const signer = ed25519.signer(new Uint8Array(32).fill(9));
export const KEY: NoteSigner = { name: 'log.example/receipts', publicKey: signer.publicKey, signer };

/** An epoch's root, whatever it is. */
export const epoch = (number: number, salt = 0): AnchorItem => ({
  ...{ kind: 'epoch', key: `${'ab'.repeat(32)}/${number}`, total: number },
  digest: new Uint8Array(32)
    .fill(number & 255)
    .fill(number >> 8, 0, 4)
    .fill(salt, 4, 8),
});

export const epochs = (from: number, count: number): AnchorItem[] =>
  Array.from({ length: count }, (_, i) => epoch(from + i));

export const openLog = (
  files: CrashingFiles,
  {
    clock = new FakeClock(),
    hold = async () => async () => undefined,
    memory,
  }: Partial<LocalAnchorOptions> = {},
): Promise<Anchor> => openLocalAnchor({ files, folder: FOLDER, key: KEY, ed25519, clock, hold, memory });

export { CrashingFiles };
