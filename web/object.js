import { ApiError, get } from './api.js';
import { badge, empty, figures, foreign, h, section, table } from './dom.js';
import { bytes, count, counted, distance, short, time } from './format.js';
import { notesOf, survivalBadge } from './objects.js';
import { mapOf } from './shard-map.js';

/** What the reader has taken away, by object: it stays while this page is open. */
const taken = new Map();

/** @type {import('./explorer.js').View} */
export const object = {
  title: 'Object',
  under: 'objects',
  everyMs: 30_000,
  async load({ rest }, signal) {
    if (!/^b3:[0-9a-f]{64}$/.test(rest)) throw new ApiError('missing', 'This is no address of an object.');
    const without = [...takenOf(rest)];
    const [detail, map] = await Promise.all([
      get('storage/object', { query: { manifest: rest }, signal }),
      get('storage/shard-map', { query: { manifest: rest, without }, signal }).catch((error) => {
        // The rest is shown all the same.
        if (signal.aborted || error.why === 'unauthorized' || error.why === 'away') throw error;
        return { failed: error.message };
      }),
    ]);
    return { detail, map };
  },
  render({ detail, map }, { rest }, again) {
    const row = /** @type {import('./objects.js').ObjectRow} */ (detail);
    const { summary } = row;
    const certificate = summary?.certificate;
    return [
      h('p', { class: 'lead' }, row.name === undefined ? 'put without a name' : foreign(row.name)),
      h('p', { class: 'mono note break' }, row.manifest),
      figures('The object', [
        // The map is newer than what was counted of all objects.
        {
          label: 'Survives now',
          value: survivalBadge({ ...row, tolerates: map.now?.certificate.tolerates ?? row.tolerates }),
        },
        {
          label: 'As put',
          value: count(certificate?.tolerates),
          note: certificate && `of ${counted(certificate.domains.count, certificate.domains.level)}`,
        },
        { label: 'Size', value: bytes(row.size), note: row.contentType ?? undefined },
        { label: 'Chunks', value: count(summary?.chunks), note: summary?.code },
        { label: 'Stored', value: distance(row.storedMs, Date.now()), note: time(row.storedMs) },
        { label: 'State', value: row.state, note: h('span', null, notesOf(row)) },
      ]),
      certificate &&
        certificate.worst_case.length > 0 &&
        h(
          'p',
          { class: 'note' },
          'As it was put, losing ',
          certificate.worst_case.flatMap((label, i) => [i > 0 && ' + ', foreign(label)]),
          ' would have been fatal.',
        ),
      section(
        'Where its shards are',
        map.failed === undefined
          ? mapOf(map, takenOf(rest), again)
          : empty(`This cannot be shown now: ${map.failed}`),
      ),
      section('Versions of its name', versionsOf(detail)),
    ];
  },
};

/** @param {string} manifest */
function takenOf(manifest) {
  const its = taken.get(manifest) ?? new Set();
  taken.set(manifest, its);
  return its;
}

/** @param {any} detail */
function versionsOf({ versions, manifest }) {
  if (versions.length === 0) return empty('No other version is kept.');
  return table(
    'Versions whose bytes are kept',
    [
      { label: 'Manifest', kind: 'fixed' },
      { label: 'State' },
      { label: 'Since', kind: 'fixed' },
      { label: 'Deleted after', kind: 'fixed' },
    ],
    versions.map((/** @type {any} */ version) => [
      version.manifest === manifest
        ? h('span', { class: 'mono' }, `${short(manifest)} (this one)`)
        : h('a', { class: 'mono', href: `#/object/${version.manifest}` }, short(version.manifest)),
      badge(version.state, version.state === 'current' ? 'good' : 'plain'),
      time(version.sinceMs),
      time(version.dueMs),
    ]),
    { hideCaption: true },
  );
}
