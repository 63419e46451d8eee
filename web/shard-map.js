import { announce, foreign, h } from './dom.js';
import { count, counted } from './format.js';
import { WHY_AWAY } from './overview.js';

/**
 * @typedef {{ certificate: { tolerates: number, worst_case: readonly string[], domains: { level: string, count: number } }, lostChunks: number }} Remaining
 *
 * @typedef {object} ShardMap
 * @property {string} code
 * @property {number} dataShards
 * @property {readonly string[]} kinds
 * @property {number} chunks
 * @property {readonly { id: string, domain: string, shards: number, away?: string }[]} providers
 * @property {readonly { chunks: number, places: readonly number[] }[]} maps
 * @property {number} moreMaps
 * @property {Remaining} now
 * @property {Remaining} after
 */

/** What fits into a request beside the rest of it. */
const MAX_ASKED = 1500;

/** Which of the ways in which chunks are placed is drawn. */
let drawn = 0;
/** The reader changed something, and waits to hear what that means. */
let isAsked = false;

/**
 * Providers by shards. A provider can be taken away; what remains the service computes, by the rule of certificates.
 * @param {ShardMap} map
 * @param {Set<string>} taken
 * @param {() => void} again
 */
export function mapOf(map, taken, again) {
  const at = Math.min(drawn, map.maps.length - 1);
  const places = map.maps[at]?.places ?? [];
  const fatal = new Set(map.after.certificate.worst_case);
  const rows = map.providers.map((provider, place) =>
    rowOf(map, provider, place, places, taken, fatal, again),
  );
  const heads = places.map((_, shard) =>
    h('th', { scope: 'col', class: `shard ${map.kinds[shard]}` }, shard),
  );
  return h(
    'div',
    { class: 'map' },
    verdictOf(map, taken),
    h(
      'div',
      { class: 'map-tools' },
      map.maps.length > 1 && chooser(map, at, again),
      h('span', { class: 'note' }, 'Choose providers to take them away.'),
      h(
        'button',
        {
          type: 'button',
          'data-key': 'restore',
          disabled: taken.size === 0,
          onclick: () => {
            taken.clear();
            isAsked = true;
            again();
          },
        },
        'Put all back',
      ),
    ),
    h(
      'div',
      { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Shards by provider' },
      h(
        'table',
        { class: 'grid' },
        h(
          'caption',
          { class: 'unseen' },
          `Which provider holds which of the ${places.length} shards of a chunk`,
        ),
        h(
          'thead',
          null,
          h(
            'tr',
            null,
            h('th', { scope: 'col' }, 'Provider'),
            heads,
            h('th', { scope: 'col', class: 'number' }, 'Shards'),
          ),
        ),
        h('tbody', null, rows),
      ),
    ),
    legendOf(map),
  );
}

/**
 * @param {ShardMap} map
 * @param {ShardMap['providers'][number]} provider
 * @param {number} place
 * @param {readonly number[]} places
 * @param {Set<string>} taken
 * @param {ReadonlySet<string>} fatal
 * @param {() => void} again
 */
function rowOf(map, provider, place, places, taken, fatal, again) {
  const { id, domain, away, shards } = provider;
  const isTaken = taken.has(id);
  const isGone = isTaken || away !== undefined;
  const toggle = () => {
    if (isTaken) taken.delete(id);
    else if ([...taken, id].join('&without=').length > MAX_ASKED)
      return announce('No more can be taken away at once.');
    else taken.add(id);
    isAsked = true;
    again();
  };
  const cells = places.map((where, shard) =>
    where === place
      ? h('td', { class: `shard on ${map.kinds[shard]}` }, h('span', null, shard))
      : h('td', { class: 'shard' }),
  );
  const state = away === undefined ? (isTaken ? 'taken away' : '') : (WHY_AWAY[away] ?? away);
  return h(
    'tr',
    { class: `${isGone ? 'gone' : ''} ${!isGone && fatal.has(domain) ? 'fatal' : ''}` },
    h(
      'th',
      { scope: 'row' },
      h(
        'button',
        {
          type: 'button',
          class: 'provider',
          'aria-pressed': String(isTaken),
          'data-key': `take ${id}`,
          title: isTaken ? 'Put it back' : 'Take it away',
          disabled: away !== undefined,
          onclick: toggle,
        },
        foreign(id, 'clip'),
      ),
      state !== '' && h('span', { class: 'state' }, ` ${state}`),
      !isGone &&
        fatal.has(domain) &&
        h('span', { class: 'unseen' }, ' one of those whose loss would be fatal'),
    ),
    cells,
    h('td', { class: 'number' }, count(shards)),
  );
}

/**
 * @param {ShardMap} map
 * @param {Set<string>} taken
 */
function verdictOf(map, taken) {
  const { certificate, lostChunks } = map.after;
  const { tolerates, domains, worst_case: worst } = certificate;
  const who = taken.size === 0 ? 'As it is now' : `Without ${counted(taken.size, 'more provider')}`;
  const level = domains.level;
  const [kind, text] =
    tolerates < 0
      ? ['bad', `${counted(lostChunks, 'chunk')} of ${count(map.chunks)} cannot be decoded.`]
      : tolerates === 0
        ? ['warn', `it can be read, and survives no further loss of a ${level}.`]
        : ['good', `it survives the loss of any ${count(tolerates)} of ${counted(domains.count, level)}.`];
  const verdict = h(
    'p',
    { class: `verdict ${kind}` },
    h('strong', null, `${who}: `),
    text,
    worst.length > 0 && ` Losing ${worst.length > 1 ? 'all of ' : ''}`,
    worst.flatMap((label, i) => [i > 0 && ' + ', foreign(label)]),
    worst.length > 0 && ` ${taken.size === 0 ? '' : 'too '}would be fatal.`,
  );
  if (isAsked) announce(verdict.textContent ?? '');
  isAsked = false;
  return verdict;
}

/**
 * @param {ShardMap} map
 * @param {number} at
 * @param {() => void} again
 */
function chooser(map, at, again) {
  const select = h(
    'select',
    {
      id: 'way',
      'data-key': 'way',
      onchange: () => {
        drawn = Number(select.value);
        again();
      },
    },
    map.maps.map(({ chunks }, i) =>
      h(
        'option',
        { value: i, selected: i === at },
        `${i + 1} of ${map.maps.length + map.moreMaps}: ${counted(chunks, 'chunk')}`,
      ),
    ),
  );
  return h('span', null, h('label', { for: 'way' }, 'Chunks placed as '), select);
}

const KINDS = /** @type {Readonly<Record<string, string>>} */ ({
  data: 'data',
  local: 'local parity',
  global: 'global parity',
  overlay: 'overlay parity',
  parity: 'parity',
  copy: 'copy',
});

/** @param {ShardMap} map */
function legendOf({ kinds, code, dataShards }) {
  const present = [...new Set(kinds)];
  return h(
    'p',
    { class: 'legend note' },
    present.map((kind) =>
      h('span', null, h('span', { class: `key ${kind}`, 'aria-hidden': 'true' }), ` ${KINDS[kind] ?? kind} `),
    ),
    h('span', null, `${code}: ${dataShards} of ${kinds.length} shards are data. `),
    h('span', null, 'A provider whose name is underlined is one of those whose loss would be fatal.'),
  );
}
