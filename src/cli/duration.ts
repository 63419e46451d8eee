const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `15m`, `8h`, `1d` as milliseconds. @throws RangeError, shown as a usage error. */
export function duration(maxMs: number): (input: string) => number {
  return (input) => {
    const match = /^(\d{1,9})([smhd])$/.exec(input);
    const ms = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]!]!;
    if (ms >= 1000 && ms <= maxMs) return ms;
    throw new RangeError(`expected a time such as 90s, 15m, 8h or 1d, up to ${forPeople(maxMs)}`);
  };
}

/** E.g. `1 h 30 min`, `45 s`: the two largest units. */
export function forPeople(ms: number): string {
  const s = Math.round(ms / 1000);
  const parts = [
    [Math.floor(s / 86_400), 'd'],
    [Math.floor(s / 3600) % 24, 'h'],
    [Math.floor(s / 60) % 60, 'min'],
    [s % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}
