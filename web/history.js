import { get } from './api.js';
import { badge, empty, foreign, h, section, table } from './dom.js';
import { bytes, count, counted, distance, NONE, short, time } from './format.js';

/** @type {import('./explorer.js').View} */
export const history = {
  title: 'History',
  everyMs: 15_000,
  async load(_route, signal) {
    const [checks, { repairs }] = await Promise.all([
      get('storage/checks', { signal }),
      get('storage/repair-history', { query: { limit: 100 }, signal }),
    ]);
    return { checks, repairs };
  },
  render({ checks, repairs }) {
    const { waiting, damage, scrubs, audits, chores, failing } = checks;
    return [
      section('Waiting to be tried again', waitingOf(waiting)),
      section('Damage that is not mended yet', damageOf(damage)),
      section('Repairs and moves', repairsOf(repairs)),
      section('Scrubs', scrubsOf(scrubs)),
      section('Audits', ...auditsOf(audits)),
      section('Housekeeping', choresOf(chores, failing)),
    ];
  },
};

/** @param {string} manifest */
const linkTo = (manifest) => h('a', { class: 'mono', href: `#/object/${manifest}` }, short(manifest));

/**
 * @param {any} list
 * @param {string} what
 */
const moreOf = ({ more, rows }, what) =>
  more ? h('p', { class: 'note' }, `The first ${count(rows.length)} ${what}; there are more.`) : null;

/** @param {any} waiting */
function waitingOf(waiting) {
  if (waiting.rows.length === 0) return empty('No chunk is put off.');
  const list = table(
    'Chunks that could not be repaired, and when they are tried again',
    [
      { label: 'Object', kind: 'fixed' },
      { label: 'Chunk', number: true },
      { label: 'Tried', number: true },
      { label: 'Next try', kind: 'fixed' },
      { label: 'Error' },
    ],
    waiting.rows.map((/** @type {any} */ { manifest, chunk, attempts, nextMs, error }) => [
      linkTo(manifest),
      count(chunk),
      counted(attempts, 'time'),
      h('span', null, `${distance(nextMs, Date.now())} `, h('span', { class: 'note' }, time(nextMs))),
      foreign(error),
    ]),
    { hideCaption: true },
  );
  return h('div', null, list, moreOf(waiting, 'are shown'));
}

/** @param {any} damage */
function damageOf(damage) {
  if (damage.rows.length === 0) return empty('Nothing is known to be missing or corrupt.');
  const list = table(
    'Blobs that were found missing or corrupt',
    [
      { label: 'Object', kind: 'fixed' },
      { label: 'Provider' },
      { label: 'What' },
      { label: 'Shards', number: true },
      { label: 'Found by' },
      { label: 'Since', kind: 'fixed' },
    ],
    damage.rows.map((/** @type {any} */ row) => [
      linkTo(row.manifest),
      foreign(row.provider),
      badge(row.problem, row.problem === 'corrupt' ? 'bad' : 'warn'),
      row.shards === undefined ? 'all' : count(row.shards),
      row.foundBy,
      time(row.sinceMs),
    ]),
    { hideCaption: true },
  );
  return h('div', null, list, moreOf(damage, 'are shown'));
}

/** @type {Readonly<Record<string, 'good' | 'warn' | 'bad' | 'plain'>>} */
const STATUS = { success: 'good', failure: 'warn', skipped: 'plain', fatal: 'bad' };

/** @param {readonly any[]} repairs */
function repairsOf(repairs) {
  if (repairs.length === 0) return empty('Nothing was repaired or moved yet.');
  return table(
    'What was repaired and moved of late, the latest first',
    [
      { label: 'When', kind: 'fixed' },
      { label: 'What', kind: 'fixed' },
      { label: 'Object', kind: 'fixed' },
      { label: 'Chunk', number: true },
      { label: 'Outcome' },
      { label: 'Stored', number: true },
      { label: 'Error' },
      { label: 'Next try', kind: 'fixed' },
    ],
    repairs.map(({ kind, manifest, segment, chunk, status, bytes: stored, error, atMs, nextMs }) => [
      time(atMs),
      kind,
      linkTo(manifest),
      chunk !== undefined ? count(chunk) : segment === undefined ? 'nodes' : 'segment',
      badge(status, STATUS[status] ?? 'plain'),
      bytes(stored),
      error === undefined ? '' : foreign(error),
      nextMs === undefined ? '' : distance(nextMs, Date.now()),
    ]),
    { hideCaption: true },
  );
}

/** @param {readonly any[]} scrubs */
function scrubsOf(scrubs) {
  if (scrubs.length === 0) return empty('Nothing was read back yet.');
  return table(
    'Parts of what is stored, as they were read back last',
    [
      { label: 'Part', kind: 'fixed' },
      { label: 'State' },
      { label: 'Done', kind: 'fixed' },
      { label: 'Objects', number: true },
      { label: 'Packs', number: true },
      { label: 'Read', number: true },
      { label: 'Missing', number: true },
      { label: 'Corrupt', number: true },
      { label: 'No answer', number: true },
    ],
    scrubs.map((row) => {
      const bad = row.missing + row.corrupt + row.rotten;
      const state =
        row.finishedMs === undefined
          ? badge('under way', 'plain')
          : bad > 0
            ? badge(`${counted(bad, 'finding')}`, 'bad')
            : row.unheard + row.unread > 0
              ? badge('not all answered', 'warn')
              : row.packs === 0
                ? badge('no packs in it', 'plain')
                : badge('all there', 'good');
      return [
        `${row.part} of ${row.of}`,
        state,
        row.finishedMs === undefined ? `since ${time(row.startedMs)}` : time(row.finishedMs),
        count(row.manifests),
        count(row.packs),
        bytes(row.bytes),
        count(row.missing),
        count(row.corrupt),
        count(row.unheard),
      ];
    }),
    { hideCaption: true },
  );
}

/** @type {Readonly<Record<string, 'good' | 'warn' | 'bad' | 'plain'>>} */
const AUDITED = { passed: 'good', failed: 'bad', silent: 'warn', nothing: 'plain' };

/** @param {readonly any[]} audits */
function auditsOf(audits) {
  if (audits.length === 0) return [empty('No provider was audited yet.')];
  return audits.map(({ atMs, challenges, whole, providers }) =>
    h(
      'details',
      { open: atMs === audits[0].atMs, 'data-key': `audit ${atMs}` },
      h(
        'summary',
        null,
        `${time(atMs)} · ${counted(challenges, 'challenge')} each`,
        whole ? '' : ' · not everything was indexed',
        ' ',
        verdictOf(providers),
      ),
      table(
        `How each provider answered on ${time(atMs)}`,
        [
          { label: 'Provider' },
          { label: 'Verdict' },
          { label: 'Asked', number: true },
          { label: 'Right', number: true },
          { label: 'Missing', number: true },
          { label: 'Corrupt', number: true },
          { label: 'No answer', number: true },
        ],
        providers.map((/** @type {any} */ its) => [
          foreign(its.provider),
          badge(its.state === 'nothing' ? 'holds nothing' : its.state, AUDITED[its.state] ?? 'plain'),
          count(its.challenges),
          count(its.right),
          count(its.missing),
          count(its.corrupt),
          count(its.unanswered),
        ]),
        { hideCaption: true },
      ),
    ),
  );
}

/** @param {readonly any[]} providers */
function verdictOf(providers) {
  const bad = providers.filter(({ state }) => state === 'failed').length;
  const silent = providers.filter(({ state }) => state === 'silent').length;
  if (bad > 0) return badge(`${counted(bad, 'provider')} failed`, 'bad');
  return silent > 0 ? badge(`${counted(silent, 'provider')} silent`, 'warn') : badge('passed', 'good');
}

/**
 * @param {Readonly<Record<string, any>>} chores
 * @param {Readonly<Record<string, any>>} failing
 */
function choresOf(chores, failing) {
  const rows = [
    ...Object.entries(chores).map(([name, chore]) => [name, chore]),
    ...Object.entries(failing).map(([id, chore]) => [h('span', null, 'at ', foreign(id)), chore]),
  ];
  if (rows.length === 0) return empty('No chore was done yet.');
  return table(
    'Chores, and how they last went',
    [
      { label: 'Chore' },
      { label: 'State' },
      { label: 'Last done', kind: 'fixed' },
      { label: 'Last failed', kind: 'fixed' },
      { label: 'Error' },
    ],
    rows.map(([name, { doneMs, failedMs, error, failures }]) => [
      name,
      failures > 0 ? badge(`failed ${counted(failures, 'time')}`, 'warn') : badge('done', 'good'),
      doneMs === undefined ? NONE : time(doneMs),
      failedMs === undefined ? '' : time(failedMs),
      error === undefined ? '' : foreign(error),
    ]),
    { hideCaption: true },
  );
}
