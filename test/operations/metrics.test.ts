import { describe, expect, it } from 'vitest';
import { METRICS, type MetricDefinition } from '../../src/telemetry/names.ts';
import { expressions, PANELS, panelExpressions, RULES, ruleExpressions, selectorsOf } from './expressions.ts';

const recorded = new Set(RULES.flatMap(({ record }) => record ?? []));

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
  ['rules', ruleExpressions],
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
  for (const expr of expressions()) {
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
    'holdfast:cache_hits:ratio_rate5m',
    'holdfast:errors:ratio_rate1h',
    'holdfast:revalidated:ratio_rate5m',
    'gate_open',
    'rf_observed',
    'rf_target',
    'storage_repair_backlog',
    'storage_repair_paced_seconds_total',
    'storage_repair_egress_bytes',
  ]) {
    expect([...used]).toContain(name);
  }
});

it('panels have their own ids and places', () => {
  expect(new Set(PANELS.map(({ id }) => id)).size).toBe(PANELS.length);
  const cells = PANELS.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
});
