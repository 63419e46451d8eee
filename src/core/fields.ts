/** Keys of a configuration: what each accepts, and how it is read. */

/** What one key accepts. TOML integers arrive as bigint, floats as number. */
export interface Field<T> {
  readonly default: T;
  /** For messages: what would have been accepted. */
  readonly allowed: string;
  /** True: what stands there may be a secret put in the wrong place, so no message shows it. */
  readonly secret?: boolean;
  /** True: it names a secret, a program, a file to write or who is let in, so it needs a trusted file. */
  readonly guarded?: boolean;
  /** The value, or undefined when it is not allowed. */
  read(value: unknown): T | undefined;
}

export const guarded = <T>(field: Field<T>): Field<T> => ({ ...field, guarded: true });

/** A typed section: one field for every key, named as in {@link tomlKey}. */
export type SectionFields<T> = { readonly [K in keyof T]-?: Field<T[K]> };

/** `dataShards` stands in the file as `data_shards`. */
export const tomlKey = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export function oneOf<const T extends string>(values: readonly T[], fallback: NoInfer<T>): Field<T> {
  return {
    default: fallback,
    allowed: values.map((value) => `"${value}"`).join(', '),
    read: (value) => values.find((candidate) => candidate === value),
  };
}

export function bool(fallback: boolean): Field<boolean> {
  return {
    default: fallback,
    allowed: 'true or false',
    read: (value) => (typeof value === 'boolean' ? value : undefined),
  };
}

export function integer(fallback: number, min: number, max: number): Field<number> {
  return {
    default: fallback,
    allowed: `an integer from ${min} to ${max}`,
    read: (value) => (typeof value === 'bigint' ? within(Number(value), min, max) : undefined),
  };
}

export function decimal(fallback: number, min: number, max: number): Field<number> {
  return {
    default: fallback,
    allowed: `a number from ${min} to ${max}`,
    read: (value) =>
      typeof value === 'bigint' || typeof value === 'number' ? within(Number(value), min, max) : undefined,
  };
}

export function text(fallback: string, pattern: RegExp, allowed: string): Field<string> {
  return {
    default: fallback,
    allowed,
    read: (value) => (typeof value === 'string' && pattern.test(value) ? value : undefined),
  };
}

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** A size: an integer of bytes, or a text with a unit such as "8 MiB". */
export function bytes(fallback: number, min: number, max: number): Field<number> {
  return {
    default: fallback,
    allowed: `bytes from ${min} to ${max}, as an integer or as "8 MiB" (B, KiB, MiB, GiB, TiB)`,
    read: (value) => {
      const size = typeof value === 'bigint' ? Number(value) : parseSize(value);
      return size === undefined ? undefined : within(size, min, max);
    },
  };
}

/** A path, or an empty text for none. */
export const path: Field<string> = text(
  '',
  /^[^\0]{0,4096}$/,
  'a path, absolute or from the home, or "" for none',
);

export function listOf<T>(
  item: Field<T>,
  fallback: readonly T[],
  maxItems: number,
  minItems = 1,
): Field<readonly T[]> {
  return {
    default: fallback,
    allowed: `a list of ${minItems} to ${maxItems}, each ${item.allowed}`,
    read: (value) => {
      if (!Array.isArray(value) || value.length < minItems || value.length > maxItems) return undefined;
      const items = value.map((entry) => item.read(entry));
      return items.every((entry) => entry !== undefined) ? items : undefined;
    },
  };
}

function parseSize(value: unknown): number | undefined {
  const match = typeof value === 'string' ? /^(\d{1,15}) ?([KMGT]?i?B)$/.exec(value) : null;
  const unit = match === null ? undefined : UNITS[match[2]!];
  return unit === undefined ? undefined : Number(match![1]) * unit;
}

const within = (value: number, min: number, max: number): number | undefined =>
  value >= min && value <= max ? value : undefined;

/** A TOML table: neither a list nor a date. */
export function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
