import { bytes } from '../../core/fields.ts';
import type { EngineName } from '../../engine/engine.ts';
import { anyText, wholeNumber } from '../flags.ts';

/** Parameters that several commands share. */

interface TextParameter {
  readonly brief: string;
  readonly parse: (input: string) => string;
  readonly placeholder: string;
}

interface OptionalFlag<T> {
  readonly kind: 'parsed';
  readonly optional: true;
  readonly parse: (input: string) => T;
}

export const oneReference: { readonly kind: 'tuple'; readonly parameters: readonly [TextParameter] } = {
  kind: 'tuple',
  parameters: [
    { brief: 'A name, or the address of a manifest (b3:…)', parse: anyText, placeholder: 'name|manifest' },
  ],
};

export const onePrefix: {
  readonly kind: 'tuple';
  readonly parameters: readonly [TextParameter & { readonly optional: true }];
} = {
  kind: 'tuple',
  parameters: [{ brief: 'Only names that start so', parse: anyText, optional: true, placeholder: 'prefix' }],
};

export const providerId: TextParameter = { brief: 'Id of a provider', parse: anyText, placeholder: 'id' };

export const off: { readonly kind: 'boolean'; readonly default: false; readonly withNegated: false } = {
  kind: 'boolean',
  default: false,
  withNegated: false,
};

export const optional: OptionalFlag<string> = { kind: 'parsed', optional: true, parse: anyText };

export const count: OptionalFlag<number> = {
  kind: 'parsed',
  optional: true,
  parse: wholeNumber(1, Number.MAX_SAFE_INTEGER),
};

/** A number between the two, neither included. */
export function decimal(min: number, max: number): OptionalFlag<number> {
  const parse = (input: string): number => {
    const value = Number(input);
    if (input === '' || !(value > min && value < max)) {
      throw new RangeError(`expected a number over ${min} and under ${max}`);
    }
    return value;
  };
  return { kind: 'parsed', optional: true, parse };
}

export function onOff(input: string): 'on' | 'off' {
  if (input === 'on' || input === 'off') return input;
  throw new RangeError('expected on or off');
}

export function shell(input: string): 'bash' | 'zsh' | 'fish' {
  if (input === 'bash' || input === 'zsh' || input === 'fish') return input;
  throw new RangeError('expected bash, zsh or fish');
}

/** E.g. `5MiB`. */
export function size(min: number, max: number): (input: string) => number {
  const field = bytes(min, min, max);
  return (input) => {
    const value = field.read(/^\d{1,15}$/.test(input) ? BigInt(input) : input);
    if (value === undefined) throw new RangeError('expected a size such as 64KiB, 5MiB or 1GiB');
    return value;
  };
}

/** E.g. `3/7`. */
export function partOf(input: string): { readonly part: number; readonly of: number } {
  const [, part, of] = (/^(\d{1,5})\/(\d{1,5})$/.exec(input) ?? []).map(Number);
  if (part !== undefined && of !== undefined && part >= 1 && part <= of) return { part, of };
  throw new RangeError('expected a part such as 1/7, up to 7/7');
}

/** E.g. `0.5%` or `0.005`. */
export function share(input: string): number {
  const [, digits, percent] = /^(\d{1,3}(?:\.\d{1,12})?)(%?)$/.exec(input) ?? [];
  // Rounded, for 99.9 / 100 is not 0.999.
  const value = percent === '%' ? Number((Number(digits) / 100).toFixed(14)) : Number(digits);
  if (value > 0 && value < 1) return value;
  throw new RangeError('expected a share over 0 and under 1, such as 0.5% or 0.005');
}

export function engineName(input: string): EngineName {
  const name = (['level', 'postgres', 'memory'] as const).find((known) => known === input);
  if (name === undefined) throw new RangeError('expected level, postgres or memory');
  return name;
}
