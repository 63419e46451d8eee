/**
 * Makes elements. Data only ever becomes text: nothing here takes markup.
 *
 * @typedef {Node | string | number | null | undefined | false} Child
 * @typedef {Readonly<Record<string, string | number | boolean | undefined | ((event: Event) => void)>>} Props
 */

/**
 * An element with attributes, listeners (`onclick`) and children; what is `undefined` or `false` is left out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Props | null} props
 * @param {...(Child | readonly Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** The longest text that is shown of data whose length others choose. */
const MAX_SHOWN = 1024;

/** C0 and C1 controls, and what turns the direction of text round. */
const UNSEEN = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Text that others chose, such as an object's name: it keeps its direction to itself, and what cannot be seen is shown.
 * @param {string} text
 * @param {string} [kind] a class
 */
export function foreign(text, kind) {
  const shown = text
    .slice(0, MAX_SHOWN)
    .replace(UNSEEN, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
  return h(
    'bdi',
    { class: kind ? `foreign ${kind}` : 'foreign' },
    text.length > MAX_SHOWN ? `${shown}…` : shown,
  );
}

/** @param {string} text what screen readers are to say */
export function announce(text) {
  const place = document.getElementById('announcements');
  if (place !== null && place.textContent !== text) place.textContent = text;
}

/**
 * @typedef {object} Column
 * @property {string} label
 * @property {boolean} [number] Right-aligned, with figures of one width.
 * @property {string} [kind] A class for its cells.
 */

/**
 * A table that says what it is. The first cell of a row names the row. On a narrow screen each row of a wide table becomes a
 * block, in which every cell says its column.
 * @param {string} caption
 * @param {readonly Column[]} columns
 * @param {readonly (readonly Child[])[]} rows
 * @param {{ hideCaption?: boolean }} [options]
 */
export function table(caption, columns, rows, options = {}) {
  const kindOf = (/** @type {Column} */ { number, kind }) =>
    [number ? 'number' : '', kind ?? ''].join(' ').trim() || undefined;
  const head = columns.map((column) =>
    h('th', { scope: 'col', class: kindOf(column), role: 'columnheader' }, column.label),
  );
  const body = rows.map((cells) =>
    h(
      'tr',
      { role: 'row' },
      cells.map((cell, i) => {
        const column = /** @type {Column} */ (columns[i]);
        const props = { class: kindOf(column), 'data-label': column.label };
        return i === 0
          ? h('th', { ...props, scope: 'row', role: 'rowheader' }, cell)
          : h('td', { ...props, role: 'cell' }, cell);
      }),
    ),
  );
  // The roles say again what the tags say, for browsers that forget it once CSS lays rows out as blocks.
  return h(
    'table',
    { role: 'table', class: columns.length > 3 ? 'rows' : undefined },
    h('caption', { class: options.hideCaption ? 'unseen' : undefined }, caption),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, head)),
    h('tbody', { role: 'rowgroup' }, body),
  );
}

/**
 * A word with a colour; the word alone says it too.
 * @param {string} word
 * @param {'good' | 'warn' | 'bad' | 'plain'} kind
 */
export const badge = (word, kind) => h('span', { class: `badge ${kind}` }, word);

/**
 * A row of figures, each with what it is.
 * @param {string} label
 * @param {readonly { label: string, value: Child, note?: Child, kind?: string | undefined }[]} list
 */
export const figures = (label, list) =>
  h(
    'dl',
    { class: 'figures', 'aria-label': label },
    list.map(({ label: what, value, note, kind }) =>
      h(
        'div',
        { class: kind },
        h('dt', null, what),
        h('dd', null, value),
        note && h('dd', { class: 'note' }, note),
      ),
    ),
  );

/**
 * A part of a view, with its heading.
 * @param {string} title
 * @param {...Child} children
 */
export function section(title, ...children) {
  const id = `s-${title.toLowerCase().replace(/[^a-z]+/g, '-')}`;
  return h('section', { 'aria-labelledby': id }, h('h2', { id }, title), children);
}

/** @param {...Child} children */
export const empty = (...children) => h('p', { class: 'empty' }, children);
