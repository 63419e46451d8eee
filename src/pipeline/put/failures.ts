import type { ErrorCode, HoldfastError } from '../../core/errors.ts';

/** A transfer that a provider did not take. */
export interface FailedAttempt {
  readonly provider: string;
  readonly error: string;
  readonly code: ErrorCode;
  readonly bytes: number;
}

/** Which providers failed a put, and why. */
export class PutFailures {
  readonly #attempts: FailedAttempt[] = [];

  add(provider: string, error: HoldfastError, bytes: number): void {
    this.#attempts.push({ provider, error: error.message, code: error.code, bytes });
  }

  /** In the order of failing. */
  get attempts(): readonly FailedAttempt[] {
    return this.#attempts;
  }

  /** A line for each, for the context of an error. */
  get lines(): string[] {
    return this.#attempts.map(({ provider, error }) => `${provider}: ${error}`);
  }

  has(code: ErrorCode): boolean {
    return this.#attempts.some((attempt) => attempt.code === code);
  }
}
