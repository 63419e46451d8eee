import { selectCodec } from '../../coding/compress/select.ts';
import { type KernelMaker, workingKernels } from '../../coding/erasure/index.ts';
import { accelerationFrom } from '../../core/acceleration.ts';
import { compareCoders, type StackFigures } from '../compare-coders.ts';
import type { CliContext } from '../flags.ts';
import { bytes, table } from '../format.ts';
import { output } from '../io.ts';
import { runCommand } from '../run-command.ts';

export interface CompareCodersFlags {
  readonly bytes: number;
  readonly data: number;
  readonly parity: number;
  readonly iterations: number;
  readonly json: boolean;
}

/** Times the default code and codec against Reed-Solomon and the fallbacks, on every kernel that works here. */
export async function compare(this: CliContext, flags: CompareCodersFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const acceleration = accelerationFrom(io.env);
    const kernels: KernelMaker[] = [];
    for await (const make of workingKernels(acceleration)) kernels.push(make);
    const codec = await selectCodec('zstd', 1, acceleration);
    const stacks = await compareCoders({
      bytes: flags.bytes,
      dataShards: flags.data,
      parityShards: flags.parity,
      iterations: flags.iterations,
      codec,
      kernels,
      now: () => performance.now(),
    });
    const data = { bytes: flags.bytes, iterations: flags.iterations, zstd: codec.implementation, stacks };
    output(io, flags.json, data, () =>
      [
        `A chunk of ${bytes(flags.bytes)}, half text and half noise, one thread, the average of ${flags.iterations}:`,
        'compress and encode it; then rebuild the lost data shards and decompress.',
        '',
        table([HEAD, ...stacks.map(row)]),
      ].join('\n'),
    );
    return undefined;
  });
}

const HEAD = [
  'code',
  'codec',
  'kernel',
  'encode ms',
  'MiB/s',
  'lost',
  'decode ms',
  'MiB/s',
  'stored',
] as const;

const row = (stack: StackFigures): (string | number)[] => [
  stack.code,
  stack.codec,
  stack.kernel,
  stack.encodeMs.toFixed(3),
  Math.round(stack.encodeMiBps),
  stack.lostShards,
  stack.decodeMs.toFixed(3),
  Math.round(stack.decodeMiBps),
  `${stack.storedRatio.toFixed(2)}x`,
];
