import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { METRICS, type MetricDefinition } from '../../src/telemetry/names.ts';

const read = (name: string): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../docs/operations/${name}`, import.meta.url)), 'utf8');

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
}

const groups = (parse(await read('prometheus-rules.yml')) as { groups: { rules: Rule[] }[] }).groups;
const rules = groups.flatMap((group) => group.rules);
const recorded = new Set(rules.flatMap(({ record }) => record ?? []));
const { panels } = JSON.parse(await read('grafana-dashboard.json')) as { panels: Panel[] };
const panelExpressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

const WORDS = new Set(['by', 'without', 'and', 'or', 'unless', 'on', 'ignoring', 'group_left', 'bool']);

interface Selector {
  readonly name: string;
  readonly labels: readonly string[];
}

/** The series that an expression selects. */
function selectorsOf(expr: string): Selector[] {
  const bare = expr
    .replaceAll(/"[^"]*"/g, '""')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\b(by|without|on)\s*\([^)]*\)/g, '');
  return [...bare.matchAll(/([A-Za-z_:][\w:]*)\s*(\{([^}]*)\})?(\s*\()?/g)]
    .filter(([, name, , , call]) => call === undefined && !WORDS.has(name!))
    .map(([, name, , matchers]) => ({
      name: name!,
      labels: [...(matchers ?? '').matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label!),
    }));
}

function definitionOf(name: string): MetricDefinition | undefined {
  const metrics: Readonly<Record<string, MetricDefinition>> = METRICS;
  const base = name.replace(/_(bucket|sum|count)$/, '');
  return metrics[name]?.type === 'histogram'
    ? undefined
    : (metrics[name] ?? (metrics[base]?.type === 'histogram' ? metrics[base] : undefined));
}

/** Added by whoever scrapes. */
const SCRAPED = ['job', 'instance'];

describe.each([
  ['rules', rules.map(({ expr }) => expr)],
  ['dashboard', panelExpressions],
])('every series of the %s', (_what, expressions) => {
  it.each(expressions)('exists with its labels: %s', (expr) => {
    const selectors = selectorsOf(expr);
    expect(selectors.length).toBeGreaterThan(0);
    for (const { name, labels } of selectors) {
      if (recorded.has(name)) continue;
      const definition = definitionOf(name);
      expect(definition, name).toBeDefined();
      const known = [...SCRAPED, ...definition!.labels, ...(name.endsWith('_bucket') ? ['le'] : [])];
      expect(labels.filter((label) => !known.includes(label))).toEqual([]);
      // A bare counter says nothing, and a rate of a gauge says something wrong.
      const rated = new RegExp(`(rate|increase)\\(\\s*${name}\\b`).test(expr);
      expect([name, rated]).toEqual([name, definition!.type !== 'gauge']);
    }
  });
});

it('every label that series are added up by exists', () => {
  for (const expr of [...rules.map((rule) => rule.expr), ...panelExpressions]) {
    const known = selectorsOf(expr).flatMap(({ name }) => definitionOf(name)?.labels ?? []);
    for (const [, , list] of expr.matchAll(/\b(by|without|on)\s*\(([^)]*)\)/g)) {
      const labels = list!.split(',').map((label) => label.trim());
      expect([expr, labels.filter((label) => ![...SCRAPED, 'le', ...known].includes(label))]).toEqual([
        expr,
        [],
      ]);
    }
  }
});

it('the dashboard shows what an operator must see', () => {
  const used = new Set(panelExpressions.flatMap((expr) => selectorsOf(expr).map(({ name }) => name)));
  for (const name of [
    'requests_total',
    'latency_seconds_bucket',
    'rejected_total',
    'storage_repair_bytes_total',
    'rf_target',
    'rf_observed',
    'holdfast:errors:ratio_rate1h',
    'holdfast:revalidated:ratio_rate5m',
  ]) {
    expect([...used]).toContain(name);
  }
});

it('panels have their own ids and places', () => {
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
});
