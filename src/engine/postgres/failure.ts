import { type ErrorCode, type ErrorKind, HoldfastError } from '../../core/errors.ts';
import { remoteText } from '../../core/remote-text.ts';

interface Rule {
  /** SQLSTATEs, or the beginnings of their classes. */
  readonly states: readonly string[];
  readonly kind: ErrorKind;
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

const RULES: readonly Rule[] = [
  {
    states: ['HF003'],
    kind: 'Unavailable',
    code: 'engine_moved',
    message: 'these records were moved, or are being moved',
    hint: 'Open the vault again: it says where they are.',
  },
  {
    states: ['57014'],
    kind: 'Timeout',
    code: 'engine_timeout',
    message: 'the database took longer than it may',
    hint: 'Look at the load of the database server and at locks that are held, or raise engine.postgres_statement_ms.',
  },
  {
    states: ['40001', '40P01', '55P03'],
    kind: 'Unavailable',
    code: 'engine_contended',
    message: 'others kept changing the same entries',
    hint: 'Nothing was changed. Try again.',
  },
  {
    states: ['53300'],
    kind: 'Unavailable',
    code: 'engine_contended',
    message: 'the database takes no more connections',
    hint: 'Raise max_connections of the server, or lower engine.postgres_connections or the number of processes.',
  },
  {
    states: ['25006'],
    kind: 'Unavailable',
    code: 'engine_read_only',
    message: 'the database takes no writes',
    hint: 'Name the primary in the URL, or all hosts, separated by commas.',
  },
  {
    states: ['53100', '54000', '53400'],
    kind: 'QuotaExceeded',
    code: 'engine_full',
    message: 'no space is left for the database',
    hint: 'Free space on the disk of the database server, then run the command again.',
  },
  {
    states: ['28', '42501'],
    kind: 'PermissionDenied',
    code: 'engine_permission',
    message: 'the database does not let this role in, or not do this',
    hint: 'Check user, password and rights; docs/operations/engines.md lists what the role needs.',
  },
  {
    states: ['3D000', '3F000', '42', '0A000'],
    kind: 'ConfigInvalid',
    code: 'engine_location',
    message: 'the database lacks what is needed',
    hint: 'Check the name of the database and of the schema, and that the server is PostgreSQL 15 or later.',
  },
  {
    states: ['XX001', 'XX002', '58030'],
    kind: 'Corrupt',
    code: 'engine_corrupt',
    message: 'the database is damaged',
    hint: 'Restore it from a backup, or rebuild it from the providers with "holdfast recover".',
  },
];

/** What a temporary failure is called once there is no more time for it. */
const UNREACHABLE: Rule = {
  states: [],
  kind: 'Unavailable',
  code: 'engine_unreachable',
  message: 'the database cannot be reached',
  hint: 'Check that the database server runs and can be reached from here, then run the command again.',
};

export const stateOf = (error: unknown): string => {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : '';
};

/** Not worth another try: rights, names, damage, room. */
export const isLasting = (error: unknown): boolean => {
  if (error instanceof HoldfastError) return error.status === 'permanent';
  const rule = ruleFor(error);
  return rule !== undefined && rule.kind !== 'Unavailable';
};

/** Two transactions met: nothing of this one was done, and it may be tried again. */
export const isCollision = (error: unknown): boolean => ['40001', '40P01'].includes(stateOf(error));

/** The server was the primary once: another one is now. */
export const isReadOnly = (error: unknown): boolean => stateOf(error) === '25006';

const ruleFor = (error: unknown): Rule | undefined => {
  const state = stateOf(error);
  return RULES.find(({ states }) => states.some((its) => state.startsWith(its)));
};

/** The typed error for whatever server, driver or network said. It holds nothing of the URL and of what was asked. */
export function postgresFailure(error: unknown): HoldfastError {
  // A deadline of one's own: as if the connection had been lost.
  if (error instanceof HoldfastError && error.code !== 'Timeout') return error;
  const rule = ruleFor(error);
  const { kind, code, message, hint } = rule ?? UNREACHABLE;
  const state = stateOf(error);
  const said = error instanceof Error ? error.message : String(error);
  // Which name is wrong or which right is missing only the server knows.
  const text = rule === undefined ? message : `${message}: ${remoteText(said)}`;
  return new HoldfastError(kind, text, { code, hint, context: { ...(state && { state }), said } });
}

/** The connection was lost under a write, and nobody could be asked what became of it. */
export const outcomeUnknown = (error: unknown): HoldfastError =>
  new HoldfastError(
    'Unavailable',
    'the connection was lost under a write, and it is not known whether it took effect',
    {
      code: 'engine_outcome_unknown',
      status: 'persistent',
      hint: 'Read again what was to be changed before you decide: it may have been.',
      context: postgresFailure(error).context,
    },
  );
