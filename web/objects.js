import { get } from './api.js';
import { badge, empty, foreign, h, table } from './dom.js';
import { bytes, count, short, survives, time } from './format.js';

const PAGE = 50;

/**
 * @typedef {object} Summary
 * @property {number} chunks
 * @property {string} code
 * @property {string} compression
 * @property {{ erasure: boolean, compression: boolean }} fallback
 * @property {readonly string[]} providers
 * @property {{ tolerates: number, worst_case: readonly string[], domains: { level: string, count: number } }} certificate
 *
 * @typedef {object} ObjectRow
 * @property {string} manifest
 * @property {number} storedMs
 * @property {Summary} [summary]
 * @property {number} [tolerates]
 * @property {string} state
 * @property {string} [name]
 * @property {number} [version]
 * @property {number} [size]
 * @property {string} [contentType]
 */

/** @type {import('./explorer.js').View} */
export const objects = {
  title: 'Objects',
  everyMs: 30_000,
  load({ query }, signal) {
    const name = query.get('name') ?? undefined;
    const limit = PAGE;
    if (name) return get('storage/objects', { query: { name, limit }, signal });
    const most = query.get('most') ?? undefined;
    const before = (query.get('before') ?? '').split(' ').pop() || undefined;
    return get('storage/objects', { query: { limit, before, most }, signal });
  },
  render(page, { query }) {
    const rows = /** @type {readonly ObjectRow[]} */ (page.objects);
    return [
      filters(query),
      rows.length === 0
        ? empty(
            query.get('name') || query.get('most')
              ? 'No object is like this.'
              : 'Nothing is stored yet, or nothing more.',
          )
        : listOf(rows),
      pager(query, page.next, rows.length),
    ];
  },
};

/** @param {readonly ObjectRow[]} rows */
function listOf(rows) {
  return table(
    'Objects, the newest first',
    [
      { label: 'Object', kind: 'main' },
      { label: 'Survives now', kind: 'fixed' },
      { label: 'As put', number: true },
      { label: 'Size', number: true },
      { label: 'Chunks', number: true },
      { label: 'Code', kind: 'fixed' },
      { label: 'Notes' },
      { label: 'Stored', kind: 'fixed' },
    ],
    rows.map((row) => [
      h(
        'a',
        { href: `#/object/${row.manifest}` },
        row.name === undefined
          ? h('span', { class: 'mono' }, short(row.manifest))
          : foreign(row.name, 'clip'),
      ),
      survivalBadge(row),
      count(row.summary?.certificate.tolerates),
      bytes(row.size),
      count(row.summary?.chunks),
      row.summary?.code ?? '–',
      h('span', null, notesOf(row)),
      time(row.storedMs),
    ]),
    { hideCaption: true },
  );
}

/** @param {ObjectRow} row */
export function survivalBadge({ tolerates, summary }) {
  if (tolerates === undefined) return badge('not known yet', 'plain');
  const level = summary?.certificate.domains.level ?? 'provider';
  const less = summary !== undefined && tolerates < summary.certificate.tolerates;
  const kind = tolerates < 0 ? 'bad' : tolerates === 0 || less ? 'warn' : 'good';
  return badge(survives(tolerates, level), kind);
}

/** @param {ObjectRow} row */
export function notesOf({ state, version, summary }) {
  /** @type {HTMLElement[]} */
  const notes = [];
  if (summary === undefined) notes.push(badge('its root is damaged here', 'bad'));
  if (summary?.fallback.erasure) notes.push(badge('fallback coder', 'warn'));
  if (summary?.fallback.compression) notes.push(badge('fallback compressor', 'warn'));
  if (state === 'current' && version !== undefined && version > 1)
    notes.push(badge(`version ${version}`, 'plain'));
  if (state === 'replaced' || state === 'removed') notes.push(badge(state, 'plain'));
  return notes;
}

/** @param {URLSearchParams} query */
function filters(query) {
  const most = query.get('most') ?? '';
  const name = h('input', {
    id: 'name',
    type: 'search',
    // As much as fits into a request, whatever the letters are.
    maxlength: 200,
    value: query.get('name') ?? '',
    autocomplete: 'off',
    spellcheck: 'false',
    'data-key': 'name',
  });
  const go = (/** @type {Event} */ event) => {
    event.preventDefault();
    const text = name.value;
    if (/^b3:[0-9a-f]{64}$/.test(text.trim())) location.hash = `#/object/${text.trim()}`;
    else location.hash = text === '' ? '#/objects' : `#/objects?${new URLSearchParams({ name: text })}`;
  };
  const choose = h(
    'select',
    {
      id: 'most',
      'data-key': 'most',
      onchange: () => {
        location.hash = choose.value === '' ? '#/objects' : `#/objects?most=${choose.value}`;
      },
    },
    [
      ['', 'all objects'],
      ['-1', 'not readable now'],
      ['0', 'survive no loss'],
      ['1', 'survive at most 1'],
      ['2', 'survive at most 2'],
      ['3', 'survive at most 3'],
    ].map(([value, label]) => h('option', { value, selected: value === most }, label)),
  );
  return h(
    'form',
    { class: 'filters', role: 'search', onsubmit: go },
    h('div', null, h('label', { for: 'name' }, 'Name begins with, or address'), name),
    h('div', null, h('button', { type: 'submit' }, 'Find')),
    h('div', null, h('label', { for: 'most' }, 'Show'), choose),
  );
}

/** As many as one can come back from, one by one. */
const TRAIL = 20;

/**
 * Pages by where they begin: the way back is the list of those before.
 * @param {URLSearchParams} query
 * @param {string | undefined} next
 * @returns {{ number: number, newer: { label: string, href: string } | undefined, older: string | undefined }}
 */
export function pagesAround(query, next) {
  const trail = (query.get('before') ?? '').split(' ').filter((one) => one !== '');
  const stated = Number(query.get('page'));
  const number =
    trail.length === 0 ? 1 : Math.max(trail.length + 1, Number.isSafeInteger(stated) ? stated : 0);
  const to = (/** @type {readonly string[]} */ pages, /** @type {number} */ at) => {
    const search = new URLSearchParams();
    const most = query.get('most');
    if (most !== null) search.set('most', most);
    if (pages.length > 0) search.set('before', pages.slice(-TRAIL).join(' '));
    if (pages.length > 0 && at > TRAIL) search.set('page', `${at}`);
    return `#/objects?${search}`;
  };
  // Those before the list begins are known no more.
  const isLost = trail.length === 1 && number > 2;
  const newer = { label: isLost ? '⇤ Newest' : '← Newer', href: to(trail.slice(0, -1), number - 1) };
  return {
    number,
    newer: trail.length > 0 ? newer : undefined,
    older: next === undefined ? undefined : to([...trail, next], number + 1),
  };
}

/**
 * @param {URLSearchParams} query
 * @param {string | undefined} next
 * @param {number} shown
 */
function pager(query, next, shown) {
  const { number, newer, older } = pagesAround(query, next);
  if (newer === undefined && older === undefined) return h('p', { class: 'note' }, `${count(shown)} shown`);
  return h(
    'nav',
    { class: 'pager', 'aria-label': 'Pages' },
    newer !== undefined && h('a', { href: newer.href }, newer.label),
    older !== undefined && h('a', { href: older }, 'Older →'),
    h('span', { class: 'note' }, `Page ${count(number)}`),
  );
}
