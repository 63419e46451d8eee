import type { OnUnfit } from '../core/acceleration.ts';
import { systemClock } from '../core/clock.ts';
import { VERSION } from '../core/version.ts';

/** The version, and with `verbose` which implementation of each primitive this machine gets. */
export async function version(
  verbose: boolean,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const head = `holdfast ${VERSION}`;
  if (!verbose) return head;
  const [{ accelerationFrom }, { createSharedMemory }, { loadPrimitives }] = await Promise.all([
    import('../core/acceleration.ts'),
    import('../core/wasm.ts'),
    import('../pipeline/cpu/primitives.ts'),
  ]);
  const unfit: string[] = [];
  const onUnfit: OnUnfit = (what, implementation, why) => {
    unfit.push(`not used          ${implementation} for ${what}: it ${why}`);
  };
  const memory = createSharedMemory(1 << 20);
  const started = systemClock.monotonic();
  const use = await loadPrimitives(memory, accelerationFrom(env), systemClock, undefined, onUnfit);
  const [zstd, deflate] = [await use.codec('zstd', 1), await use.codec('deflate', 1)];
  return [
    head,
    `node              ${process.version} ${process.platform}-${process.arch}`,
    `blake3            ${use.blake3.name}`,
    `chacha20-poly1305 ${use.aead.name}`,
    `erasure kernel    ${(await use.kernel()).name}`,
    `zstd              ${zstd.implementation}`,
    `deflate           ${deflate.implementation}`,
    ...unfit,
    `loaded and tested in ${(systemClock.monotonic() - started).toFixed(0)} ms`,
  ].join('\n');
}
