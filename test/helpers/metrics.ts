/**
 * The value of a metric in an exposition, all its labels added up, or of the one series named. Undefined where there
 * is none.
 */
export function metricIn(text: string, series: string): number | undefined {
  const lines = text.split('\n').filter((line) => line.startsWith(series));
  const matching = lines.filter((line) => /^[ {]/.test(line.slice(series.length)));
  if (matching.length === 0) return undefined;
  return matching.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
