// Makes the reference of metrics from the table that they are declared by.

const cell = (text) => text.replaceAll('|', '\\|');

/** What each family of names is about, in the order of the page; the last one takes what is left. */
const FAMILIES = [
  ['Vaults, providers and repair', /^(?:storage|rf)_/],
  ['Services', /./],
];

/** docs/operations/metrics.md */
export function metricsPage({ METRICS }) {
  const left = new Map(Object.entries(METRICS));
  const sections = FAMILIES.map(([title, names]) => {
    const rows = [...left].flatMap(([name, metric]) => {
      if (!names.test(name)) return [];
      left.delete(name);
      return [rowOf(name, metric)];
    });
    return `## ${title}\n\n| metric | type | labels | |\n|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `# Metrics

Every metric that programs of this package expose, at \`/metrics\` of a node, gateway or daemon and with \`--metrics-file\`. Names,
labels and units are public and stay. A name ends in its unit where it has one; times are in seconds but for
\`storage_provider_rtt_ms\`, which is in milliseconds. A series appears with its first value; counters that a rule looks at begin
at 0. A label has at most a bounded number of values: what comes after is counted under \`other\`.

What to look at first, rules and a dashboard are in [operations](README.md).

\`npm run docs:api\` makes this page from [names.ts](../../src/telemetry/names.ts).

${sections.join('\n')}`;
}

function rowOf(name, { type, labels, help, buckets }) {
  const bounds = buckets === undefined ? '' : ` Buckets up to ${buckets.join(', ')}.`;
  const named = labels.map((label) => `\`${label}\``).join(', ');
  return `| \`${name}\` | ${type} | ${named} | ${cell(help)}.${bounds} |`;
}
