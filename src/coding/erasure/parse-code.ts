import { HoldfastError } from '../../core/errors.ts';
import { type CodeParams, DEFAULT_LRC } from './params.ts';

/**
 * `lrc`, `lrc:16+5+3` (no overlay), `lrc:16+5+3+3wide`, `reed-solomon:16+8`, `xor:16+1`, `replica:4`.
 * @throws HoldfastError `ConfigInvalid` (`bad_code`).
 */
export function parseCode(text: string): CodeParams {
  const [algorithm, shape = ''] = text.split(':', 2) as [string, string?];
  const counts = (shape.match(/\d+/g) ?? []).map(Number);
  const overlay = /\d(pair|wide)$/.exec(shape)?.[1] as 'pair' | 'wide' | undefined;
  if (algorithm === 'lrc' && shape === '') return DEFAULT_LRC;
  if (algorithm === 'lrc' && /^\d+\+\d+\+\d+(\+\d+(pair|wide))?$/.test(shape)) {
    const [dataShards, localParity, globalParity, fountainShards = 0] = counts as [
      number,
      number,
      number,
      number?,
    ];
    return {
      algorithm,
      dataShards,
      localParity,
      globalParity,
      fountainShards,
      fountainKind: overlay ?? 'none',
    };
  }
  if ((algorithm === 'reed-solomon' || algorithm === 'xor') && /^\d+\+\d+$/.test(shape)) {
    const [dataShards, parityShards] = counts as [number, number];
    return { algorithm, dataShards, parityShards };
  }
  if (algorithm === 'replica' && /^\d+$/.test(shape)) return { algorithm, copies: counts[0]! };
  throw new HoldfastError('ConfigInvalid', `"${text}" is not a code`, {
    code: 'bad_code',
    hint: 'Give lrc, lrc:16+5+3, lrc:16+5+3+3wide, reed-solomon:16+8, xor:16+1 or replica:4.',
  });
}
