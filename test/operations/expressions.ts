import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const read = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../docs/operations/${name}`, import.meta.url)), 'utf8');

export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
}

export const RULES: readonly Rule[] = (
  parse(read('prometheus-rules.yml')) as { groups: { rules: Rule[] }[] }
).groups.flatMap((group) => group.rules);

export const PANELS: readonly Panel[] = (JSON.parse(read('grafana-dashboard.json')) as { panels: Panel[] })
  .panels;

export const ruleExpressions: readonly string[] = RULES.map(({ expr }) => expr);
export const panelExpressions: readonly string[] = PANELS.flatMap(({ targets = [] }) =>
  targets.map(({ expr }) => expr),
);
export const expressions = (): readonly string[] => [...ruleExpressions, ...panelExpressions];

const WORDS = new Set(['by', 'without', 'and', 'or', 'unless', 'on', 'ignoring', 'group_left', 'bool']);

export interface Selector {
  readonly name: string;
  readonly labels: readonly string[];
}

/** The series that an expression selects. */
export function selectorsOf(expr: string): Selector[] {
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
