import { ApiError, get, hasToken, isToken, setToken } from './api.js';
import { announce, h } from './dom.js';
import { clock } from './format.js';
import { history } from './history.js';
import { receipts } from './hours.js';
import { object } from './object.js';
import { objects } from './objects.js';
import { overview } from './overview.js';
import { providers } from './providers.js';
import { Refresher } from './refresh.js';
import { settings } from './settings.js';

/**
 * Where the reader is: `#/objects/b3:…?most=1`.
 * @typedef {{ view: string, rest: string, query: URLSearchParams }} Route
 *
 * A view: what it asks for, and how it shows that.
 * @typedef {object} View
 * @property {string} title
 * @property {string} [under] the view that it belongs to, where the list of views does not name it
 * @property {number} everyMs how often it asks again
 * @property {(route: Route, signal: AbortSignal) => Promise<any>} load
 * @property {(data: any, route: Route, again: () => void) => readonly import('./dom.js').Child[]} render
 */

/** @type {Readonly<Record<string, View>>} */
const VIEWS = { overview, objects, object, providers, history, receipts, settings };

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const content = byId('content');

/** @returns {Route} */
function here() {
  const [path = '', search = ''] = location.hash.replace(/^#\/?/, '').split('?', 2);
  const [view = '', ...rest] = path.split('/');
  const known = Object.hasOwn(VIEWS, view) ? view : 'overview';
  return { view: known, rest: rest.join('/'), query: new URLSearchParams(search) };
}

/** @type {Refresher | undefined} */
let refresher;
/** Of the last answer. */
let shownMs = 0;

function show() {
  const route = here();
  const view = /** @type {View} */ (VIEWS[route.view]);
  const wasPaused = refresher?.paused ?? false;
  refresher?.stop();
  markView(route.view);
  document.title = `${view.title} · Holdfast`;
  const heading = h('h1', { tabindex: -1 }, view.title);
  const trouble = h('div', { class: 'trouble' });
  const body = h('div', { class: 'view', 'aria-busy': 'true' }, h('p', { class: 'empty' }, 'Asking…'));
  content.replaceChildren(heading, trouble, body);
  shownMs = 0;
  const next = new Refresher({
    everyMs: view.everyMs,
    onState: tellState,
    async work(signal) {
      try {
        const data = await view.load(route, signal);
        shownMs = Date.now();
        replaceKeepingFocus(
          body,
          view.render(data, route, () => void next.now()),
        );
        if (trouble.childElementCount > 0) announce('It answers again.');
        trouble.replaceChildren();
        body.removeAttribute('aria-busy');
        body.classList.remove('old');
        performance.mark('holdfast-view');
        if (byId('service').textContent === '') void tellService();
        return 'good';
      } catch (error) {
        if (signal.aborted) return 'good';
        showTrouble(trouble, body, error);
        return error instanceof ApiError && NEEDS_READER.includes(error.why) ? 'stop' : 'bad';
      }
    },
  });
  refresher = next;
  if (wasPaused) next.pause(true);
  void next.now();
  return heading;
}

/**
 * New content in place of old; who was at a control of it stays there.
 * @param {HTMLElement} body
 * @param {readonly import('./dom.js').Child[]} children
 */
function replaceKeepingFocus(body, children) {
  const active = document.activeElement;
  const key = active instanceof HTMLElement && body.contains(active) ? active.dataset.key : undefined;
  const href = active instanceof HTMLAnchorElement && body.contains(active) ? active.hash : undefined;
  const given = new Map(
    fieldsOf(body).flatMap((one) => (isChanged(one) ? [[one.dataset.key, one.value]] : [])),
  );
  const open = new Set(
    [...body.querySelectorAll('details')].flatMap(({ open: is, dataset }) => (is ? [dataset.key] : [])),
  );
  const isFirst = body.querySelector('details') === null;
  body.replaceChildren(h('div', null, ...children));
  // What the reader opened stays open, what was typed or chosen stays so.
  if (!isFirst) for (const one of body.querySelectorAll('details')) one.open = open.has(one.dataset.key);
  for (const one of fieldsOf(body)) {
    one.value = given.get(one.dataset.key) ?? one.value;
    // What was chosen may not be there any more.
    if (one instanceof HTMLSelectElement && one.selectedIndex < 0) one.selectedIndex = 0;
  }
  if (key === undefined && href === undefined) return;
  for (const one of body.querySelectorAll('[data-key], a')) {
    if (!(one instanceof HTMLElement)) continue;
    const same =
      one instanceof HTMLAnchorElement ? one.hash === href && href !== '' : one.dataset.key === key;
    if (same) return one.focus({ preventScroll: true });
  }
}

/**
 * @param {HTMLElement} body
 * @returns {(HTMLInputElement | HTMLSelectElement)[]}
 */
const fieldsOf = (body) =>
  [...body.querySelectorAll('input[data-key], select[data-key]')].map(
    (one) => /** @type {HTMLInputElement | HTMLSelectElement} */ (one),
  );

/** @param {HTMLInputElement | HTMLSelectElement} field */
function isChanged(field) {
  if (field instanceof HTMLInputElement) return field.value !== field.defaultValue;
  const usual = [...field.options].find(({ defaultSelected }) => defaultSelected) ?? field.options[0];
  return field.value !== usual?.value;
}

/**
 * What went wrong and what the reader can do about it. What was shown before stays, and says that it is old.
 * @param {HTMLElement} place
 * @param {HTMLElement} body
 * @param {unknown} error
 */
function showTrouble(place, body, error) {
  const problem = error instanceof ApiError ? error : new ApiError('failed', String(error));
  const { why, message, corrId } = problem;
  const [title, advice] = ADVICE[why];
  body.removeAttribute('aria-busy');
  if (shownMs === 0 || why === 'unauthorized' || why === 'forbidden' || why === 'missing')
    body.replaceChildren();
  else body.classList.add('old');
  const isAsked = place.querySelector('form') !== null;
  announce(`${title}. ${advice}`);
  // Whoever is typing the token keeps the field.
  if (why === 'unauthorized' && isAsked && !hasToken()) return;
  place.replaceChildren(
    h(
      'div',
      { class: why === 'unauthorized' ? 'problem asks' : 'problem' },
      h('h2', null, title),
      h('p', null, advice),
      body.classList.contains('old') && h('p', null, `What is shown below is as of ${clock(shownMs)}.`),
      h('p', { class: 'note' }, message, corrId ? ` (${corrId})` : ''),
      (why === 'unauthorized' || why === 'forbidden') && tokenForm(),
    ),
  );
}

/** @type {Readonly<Record<import('./api.js').Why, readonly [string, string]>>} */
const ADVICE = {
  away: [
    'The service does not answer',
    'See whether the process runs and whether its address is reachable from here. This page asks again by itself.',
  ],
  timeout: [
    'The service took too long',
    'It may be overloaded, or its disk may be slow: /readyz and /metrics say more. This page asks again by itself.',
  ],
  unauthorized: [
    'A token is needed',
    'Give a token that has the scope “admin”. It stays in this tab and ends with it.',
  ],
  forbidden: [
    'The token may not see this',
    'It lacks the scope “admin”. Give another one, or have its entry in the token file changed.',
  ],
  busy: [
    'The service turns requests away',
    'It has more to do than it takes on, or it is shutting down. This page asks again by itself.',
  ],
  missing: ['There is no such thing', 'It may have been deleted. Go back to the list.'],
  sealed: [
    'The service has no key',
    'It shows public parts only. Ask one that was started with the vault’s key.',
  ],
  failed: [
    'The service could not answer',
    'Its log says more, under the id below. This page asks again by itself.',
  ],
};

/** Asking again would bring the same. */
const NEEDS_READER = ['unauthorized', 'forbidden', 'missing', 'sealed'];

function tokenForm() {
  const input = h('input', {
    id: 'token',
    type: 'password',
    autocomplete: 'off',
    spellcheck: 'false',
    required: true,
    'aria-describedby': 'token-hint',
  });
  const hint = h('p', { id: 'token-hint', class: 'note' }, 'As in the token file, without “Bearer”.');
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!isToken(text)) {
      hint.textContent = 'A token has 1 to 512 letters, digits and . _ ~ + / = -';
      announce(hint.textContent);
      return;
    }
    setToken(text);
    byId('forget').hidden = false;
    void refresher?.now();
  };
  return h(
    'form',
    { onsubmit: submit },
    h('label', { for: 'token' }, 'Token'),
    h('div', { class: 'field' }, input, h('button', { type: 'submit' }, 'Use it')),
    hint,
  );
}

/** @param {string} current */
function markView(current) {
  const marked = VIEWS[current]?.under ?? current;
  const links = Object.entries(VIEWS).filter(([, { under }]) => under === undefined);
  byId('views').replaceChildren(
    ...links.map(([name, { title }]) =>
      h(
        'li',
        null,
        h('a', { href: `#/${name}`, 'aria-current': name === marked ? 'page' : undefined }, title),
      ),
    ),
  );
}

/** @param {{ running: boolean, paused: boolean, nextMs: number | undefined }} state */
function tellState({ running, paused, nextMs }) {
  const pause = byId('pause');
  pause.setAttribute('aria-pressed', String(paused));
  pause.textContent = paused ? 'Go on' : 'Pause';
  const shown = shownMs === 0 ? '' : `As of ${clock(shownMs)}. `;
  const next = nextMs === undefined ? '' : `Asks again every ${Math.round(nextMs / 1000)} s.`;
  byId('freshness').textContent = shown + (paused ? 'Paused.' : running ? 'Asking…' : next);
}

async function tellService() {
  try {
    const { name, version, sealed } = await get('version');
    byId('service').textContent =
      `${String(name).replace('holdfast-', '')} ${version}${sealed ? ' · sealed, without a key' : ''}`;
  } catch {
    byId('service').textContent = '';
  }
}

byId('pause').addEventListener('click', () => refresher?.pause(!refresher.paused));
byId('refresh').addEventListener('click', () => void refresher?.now());
byId('forget').hidden = !hasToken();
byId('forget').addEventListener('click', () => {
  setToken(undefined);
  byId('forget').hidden = true;
  void refresher?.now();
});
document.addEventListener('visibilitychange', () => refresher?.seen());
// Not by its address: that is where the view stands.
document.querySelector('.skip')?.addEventListener('click', (event) => {
  event.preventDefault();
  content.focus();
});
window.addEventListener('hashchange', () => {
  const heading = show();
  heading.focus({ preventScroll: true });
  window.scrollTo(0, 0);
  announce(heading.textContent ?? '');
});
show();
