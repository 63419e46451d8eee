/** The kernels alone in a process of its own: `gate-kernels.js <input> <folder>` prints CPU s/GiB of a put and a get. */
import type { Estimate } from './kernel-times.ts';
import { kernelSum, total } from './kernels.ts';

/** A kernel takes milliseconds, of which some are disturbed by nothing. */
const LEAST: Estimate = { repeats: 12, of: (seconds) => Math.min(...seconds) };

const [input, dir] = process.argv.slice(2);
const { put, get } = await kernelSum(input!, dir!, LEAST);
process.stdout.write(JSON.stringify({ put: total(put), get: total(get) }));
