/** Below these keys stand names that the user chose. */
const OWN_NAMES: ReadonlySet<string> = new Set(['overrides']);

const camel = (key: string): string =>
  key.replace(/(?<=[a-z0-9])_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** Data as every command prints it: one spelling of keys, whichever format the data comes from. */
export function toJson(data: unknown): string {
  return JSON.stringify(oneSpelling(data));
}

function oneSpelling(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(oneSpelling);
  if (typeof value !== 'object' || value === null) return value;
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      camel(key),
      OWN_NAMES.has(key) ? inner : oneSpelling(inner),
    ]),
  );
}
