import { HoldfastError } from '../core/errors.ts';
import { tomlKey } from '../core/fields.ts';
import type { KeyPath, Positions } from './positions.ts';

/** One thing that is wrong with a configuration file. */
export interface ConfigProblem {
  readonly file: string;
  /** From 1; 0 for what stands in no text. */
  readonly line: number;
  /** As a person writes it, e.g. `providers[2].domain.region`; empty for the file as a whole. */
  readonly key: string;
  readonly problem: string;
  readonly allowed: string;
}

/** Collects everything that is wrong, so that one run shows it all. */
export class Problems {
  readonly #file: string;
  readonly #positions: Positions;
  readonly #trusted: boolean;
  readonly #found: ConfigProblem[] = [];

  /** @param trusted whether the file may set guarded keys. */
  constructor(file: string, positions: Positions, trusted: boolean) {
    this.#file = file;
    this.#positions = positions;
    this.#trusted = trusted;
  }

  get none(): boolean {
    return this.#found.length === 0;
  }

  add(path: KeyPath, problem: string, allowed: string): void {
    const line = this.#positions.lineOf(path);
    this.#found.push({ file: this.#file, line, key: displayPath(path), problem, allowed });
  }

  /** Refuses a key that names a secret, a program, a file to write or who is let in, unless the file is trusted. */
  refuseGuarded(path: KeyPath): void {
    if (this.#trusted) return;
    const problem =
      'does not count in a file that nobody named: whoever made this folder may have written it';
    this.add(
      path,
      problem,
      'this key in a file named with --config or HOLDFAST_CONFIG, or in storage.toml of the home, mode 0600',
    );
  }

  /** A contradiction between keys: blamed on the first of them that the file itself sets. */
  addConflict(paths: readonly KeyPath[], problem: string, allowed: string): void {
    const blamed = paths.find((path) => this.#positions.has(path)) ?? paths[0]!;
    this.add(blamed, problem, allowed);
  }

  /** @throws HoldfastError `ConfigInvalid` if anything was found. */
  throwIfAny(): void {
    if (!this.none) throw configInvalid(this.#found);
  }
}

/** Where a key of a section stands in the file. */
export const keyPath = (section: string, name: string): KeyPath => [section, tomlKey(name)];

const MAX_SHOWN = 50;

/** @param found at least one. */
export function configInvalid(found: readonly ConfigProblem[], cause?: unknown): HoldfastError {
  const problems = [...found].sort((a, b) => a.line - b.line);
  const shown = problems.slice(0, MAX_SHOWN).map(formatProblem);
  if (problems.length > MAX_SHOWN) shown.push(`and ${problems.length - MAX_SHOWN} more`);
  const { file, line, key, allowed } = problems[0]!;
  return new HoldfastError('ConfigInvalid', shown.join('\n'), {
    operation: 'config',
    hint: 'Every key stands with its default in the config/storage.toml that ships with Holdfast.',
    context: { file, line, key, allowed, problems },
    ...(cause === undefined ? {} : { cause }),
  });
}

function formatProblem({ file, line, key, problem, allowed }: ConfigProblem): string {
  return `${file}${line === 0 ? '' : `:${line}`}: ${key === '' ? '' : `${key}: `}${problem}; allowed: ${allowed}`;
}

function displayPath(path: KeyPath): string {
  return path.reduce<string>((shown, part) => {
    if (typeof part === 'number') return `${shown}[${part}]`;
    const name = /^[A-Za-z0-9_-]{1,64}$/.test(part) ? part : JSON.stringify(part.slice(0, 64));
    return shown === '' ? name : `${shown}.${name}`;
  }, '');
}

/** A value as it may appear in a message: short, on one line. */
export function displayValue(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  // TOML tells 10 from 10.0.
  if (typeof value === 'number') return Number.isInteger(value) ? value.toFixed(1) : String(value);
  const shown = asJson(value);
  return shown.length > 60 ? `${shown.slice(0, 57)}...` : shown;
}

/** Of whatever a program may hand over. */
function asJson(value: unknown): string {
  try {
    const plain = (_: string, inner: unknown): unknown => (typeof inner === 'bigint' ? Number(inner) : inner);
    return JSON.stringify(value, plain) ?? `a ${typeof value}`;
  } catch {
    return `a ${typeof value}`;
  }
}
