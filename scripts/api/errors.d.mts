export interface ErrorEntry {
  readonly code: string;
  readonly kinds: readonly string[];
  readonly status: string;
  readonly when: string;
  readonly what: string;
}
export function errorTable(): ErrorEntry[];
export function errorsPage(): string;
