import { HoldfastError } from '../core/errors.ts';

/** The process as the argument parser sees it: what it says of wrong usage is kept, to be told like any other error. */
export class ParserProcess {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: { write(text: string): void };
  readonly env: NodeJS.ProcessEnv;
  exitCode: number | string | null | undefined;
  #said = '';

  constructor({ stdout, env }: Pick<NodeJS.Process, 'stdout' | 'env'>) {
    this.stdout = stdout;
    this.env = env;
    this.stderr = {
      write: (text) => {
        this.#said += text;
      },
    };
  }

  get said(): string {
    return this.#said.trim();
  }

  refusal(hint: string): HoldfastError {
    return new HoldfastError('ConfigInvalid', this.said, { code: 'usage', hint });
  }
}
