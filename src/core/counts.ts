/** Whether what was read is a number of things, or of milliseconds, that a record may hold. */
export const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;
