/** One way to add a provider: what must be told, and the table that comes of it. */
export interface Setup {
  /** As in `holdfast providers add NAME`. */
  readonly name: string;
  readonly brief: string;
  readonly questions: readonly Question[];
  /** Fields of the credentials, if it takes any. */
  readonly secrets: readonly Secret[];
  /** Keys of `[[providers]]` beside `id`, `adapter` and `credentials`. */
  table(answers: Answers): Record<string, unknown>;
}

/** One of the flags, and how it is asked for on a terminal. */
export interface Question {
  /** In camelCase: `hostKey` for `--host-key`. */
  readonly flag: string;
  readonly ask: string;
  /** Taken when nothing is given or typed. Without one it must be. */
  readonly usual?: string;
  /** What `--help` says of the flag, and what it puts for the value. */
  readonly brief: string;
  readonly placeholder?: string;
  /** The flag may be given several times; the answer has commas between them. */
  readonly several?: boolean;
  /** A path of this machine: relative to where the command runs. */
  readonly path?: boolean;
}

export interface Secret {
  readonly field: string;
  readonly ask: string;
  /** Shown as it is typed. */
  readonly open?: boolean;
  /** Need not be given. */
  readonly optional?: boolean;
  /** What is typed is the path of a file that holds it. */
  readonly inFile?: boolean;
  /** Asked only when this other field was given, or, with `!`, when it was not. */
  readonly when?: string;
}

export type Answers = Readonly<Record<string, string | undefined>>;
