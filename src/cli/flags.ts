import type { CommandContext, FlagParametersForType } from '@stricli/core';
import type { Io } from './io.ts';
import type { CommandTable } from './shell/command-table.ts';

/** What stricli hands to every command. */
export interface CliContext extends CommandContext {
  readonly io: Io;
  /** Set by a command that ended badly; see `exit-codes.ts`. */
  exitCode: number;
  /** All commands, this one among them. */
  readonly commandTable: () => CommandTable;
}

/** Flags of commands that read the configuration. */
export interface ConfigFlags {
  readonly home?: string;
  readonly config?: string;
  readonly json: boolean;
}

/** Flags of commands that open a vault. */
export interface CommonFlags extends ConfigFlags {
  readonly metricsFile?: string;
}

/** Any text is good. */
export const anyText = (input: string): string => input;

export const jsonFlag: FlagParametersForType<Pick<ConfigFlags, 'json'>, CliContext> = {
  json: { kind: 'boolean', default: false, withNegated: false, brief: 'Print JSON' },
};

export const configFlags: FlagParametersForType<ConfigFlags, CliContext> = {
  home: {
    kind: 'parsed',
    parse: anyText,
    optional: true,
    brief: 'Folder of the key and the state (default: $HOLDFAST_HOME, else .holdfast)',
    placeholder: 'DIR',
  },
  config: {
    kind: 'parsed',
    parse: anyText,
    optional: true,
    brief: "Configuration (default: $HOLDFAST_CONFIG, else the home's own, else config/storage.toml)",
    placeholder: 'FILE',
  },
  ...jsonFlag,
};

export const commonFlags: FlagParametersForType<CommonFlags, CliContext> = {
  ...configFlags,
  metricsFile: {
    kind: 'parsed',
    parse: anyText,
    optional: true,
    brief: 'Write Prometheus metrics there when done',
    placeholder: 'FILE',
  },
};

export interface ProfileFlags {
  readonly profile: boolean;
}

export const profileFlag: FlagParametersForType<ProfileFlags, CliContext> = {
  profile: {
    kind: 'boolean',
    default: false,
    withNegated: false,
    brief: 'Print where the time went, stage by stage',
  },
};

/** @throws RangeError, shown as a usage error. */
export function wholeNumber(min: number, max: number): (input: string) => number {
  return (input) => {
    const value = Number(input);
    if (!/^\d+$/.test(input) || value < min || value > max) {
      throw new RangeError(`expected a whole number from ${min} to ${max}`);
    }
    return value;
  };
}
