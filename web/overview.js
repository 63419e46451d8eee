import { get } from './api.js';
import { badge, empty, figures, h, section, table } from './dom.js';
import { count, counted, survives, time } from './format.js';

/**
 * What the service says of all objects.
 * @typedef {object} Overview
 * @property {{ total: number, unknown: number, more: boolean, bySurvival: readonly { tolerates: number, count: number }[] }} objects
 * @property {readonly { provider: string, why: string }[]} without
 * @property {number} atMs
 */

export const WHY_AWAY = /** @type {Readonly<Record<string, string>>} */ ({
  not_answering: 'does not answer',
  declared: 'declared lost',
  not_configured: 'no longer in the configuration',
  silent: 'silent for too long',
});

/** @type {import('./explorer.js').View} */
export const overview = {
  title: 'Overview',
  everyMs: 10_000,
  async load(_route, signal) {
    const [objects, providers, status, ready] = await Promise.all([
      get('storage/overview', { signal }),
      get('storage/providers', { signal }),
      get('storage/status', { signal }),
      get('readyz', { signal, anyStatus: true }),
    ]);
    return [objects, providers, status, ready];
  },
  render([view, { providers }, status, ready]) {
    const { objects, without } = /** @type {Overview} */ (view);
    const good = providers.filter((/** @type {any} */ { state }) => state === 'ok').length;
    const least = objects.bySurvival[0]?.tolerates;
    return [
      figures('At a glance', [
        {
          label: 'Objects',
          value: `${count(objects.total)}${objects.more ? '+' : ''}`,
          note: objects.unknown > 0 ? `${count(objects.unknown)} not indexed yet` : undefined,
        },
        {
          label: 'The weakest survives',
          value: least === undefined ? '–' : count(Math.max(least, 0)),
          note: weakestOf(least),
          kind: least === undefined ? undefined : least < 0 ? 'bad' : least === 0 ? 'warn' : 'good',
        },
        {
          label: 'Taking shards',
          value: `${good} of ${providers.length}`,
          note: without.length > 0 ? `${counted(without.length, 'provider')} not counted` : 'providers',
          kind: good < providers.length ? 'warn' : 'good',
        },
        {
          label: 'To be repaired',
          value: count(status.survival?.due ?? 0),
          note: 'segments with shards at lost providers',
          kind: (status.survival?.due ?? 0) > 0 ? 'warn' : undefined,
        },
        {
          label: 'Damaged segments',
          value: count(status.damage?.segments ?? 0),
          note: 'found and not mended yet',
          kind: (status.damage?.segments ?? 0) > 0 ? 'warn' : undefined,
        },
      ]),
      section('Objects by losses still survivable', survivalOf(objects, providers.length)),
      without.length > 0 &&
        section(
          'Not counted',
          table(
            'Providers whose shards do not count above',
            [{ label: 'Provider' }, { label: 'Why' }],
            without.map(({ provider, why }) => [
              h('bdi', { class: 'foreign' }, provider),
              WHY_AWAY[why] ?? why,
            ]),
            { hideCaption: true },
          ),
        ),
      section('Can it work', workOf(ready, status)),
    ];
  },
};

/** @param {number | undefined} least losses that the weakest object survives */
function weakestOf(least) {
  if (least === undefined) return 'nothing is stored';
  if (least < 0) return 'losses: it is not readable now';
  return `${least === 1 ? 'loss' : 'losses'} from now on`;
}

/**
 * @param {Overview['objects']} objects
 * @param {number} providers
 */
function survivalOf({ bySurvival, total }, providers) {
  if (total === 0) {
    return empty(
      'Nothing is stored yet. ',
      h('code', null, 'holdfast put FILE'),
      ' stores the first object.',
    );
  }
  const most = Math.max(...bySurvival.map(({ count: number }) => number), 1);
  const rows = bySurvival.map(({ tolerates, count: number }) => {
    const bar = h('span', { class: `bar ${tolerates < 0 ? 'bad' : tolerates === 0 ? 'warn' : ''}` });
    bar.style.setProperty('--share', String(number / most));
    const where = `#/objects?most=${Math.max(tolerates, -1)}`;
    return [
      tolerates >= providers ? 'all' : h('a', { href: where }, survives(tolerates)),
      count(number),
      h('span', { class: 'track', 'aria-hidden': true }, bar),
    ];
  });
  return table(
    'Objects by the losses that they survive from now on, the weakest first',
    [{ label: 'Survive the loss of' }, { label: 'Objects', number: true }, { label: 'Share', kind: 'wide' }],
    rows,
    { hideCaption: true },
  );
}

const PLANES = ['reads', 'writes'];

/** @param {string} name `too_few_providers` */
const words = (name) => name.replaceAll('_', ' ');

/**
 * @param {any} ready
 * @param {boolean} is
 * @param {readonly string[]} gates
 */
function reasonsOf(ready, is, gates) {
  if (is) return '';
  const its = (ready.gates ?? []).filter((/** @type {any} */ { gate }) => gates.includes(gate));
  return its.flatMap((/** @type {any} */ { reasons }) => reasons.map(words)).join(', ');
}

/**
 * @param {any} ready
 * @param {any} status
 */
function workOf(ready, status) {
  const yes = (/** @type {boolean} */ is) => (is ? badge('yes', 'good') : badge('no', 'bad'));
  const standing = status.standing;
  const rows = [
    [
      'Objects can be read',
      yes(ready.reads),
      reasonsOf(ready, ready.reads, ['reads', 'placement_cache', 'engine']),
    ],
    ['Objects can be stored', yes(ready.writes), (ready.reasons ?? []).map(words).join(', ')],
    ...(ready.gates ?? [])
      .filter((/** @type {any} */ { gate }) => !PLANES.includes(gate))
      .map((/** @type {any} */ { gate, open, reasons, needs }) => [
        `Gate: ${words(gate)}`,
        open ? badge('open', 'good') : badge('shut', 'bad'),
        open || reasons.length > 0 ? reasons.map(words).join(', ') : `behind ${needs.map(words).join(', ')}`,
      ]),
    [
      'This state is the latest',
      badge(standing, standing === 'confirmed' ? 'good' : standing === 'behind' ? 'bad' : 'warn'),
      (status.why ?? []).join('; '),
    ],
    ...(status.reserve === undefined
      ? []
      : [['Room is left on the disk', yes(status.reserve), status.reserve ? '' : 'the reserve was used up']]),
    ...(ready.loops ?? []).map((/** @type {any} */ loop) => [
      `Loop ${loop.name}`,
      badge(
        loop.last === 'failed' ? `failed ${counted(loop.failures, 'time')}` : loop.state,
        loop.last === 'failed' || loop.state === 'stuck' ? 'bad' : 'good',
      ),
      loop.done_unix_ms ? `last done ${time(loop.done_unix_ms)}` : 'not done yet',
    ]),
  ];
  return table(
    'What can be done now',
    [{ label: 'What', kind: 'name' }, { label: 'Now' }, { label: 'Why' }],
    rows,
    {
      hideCaption: true,
    },
  );
}
