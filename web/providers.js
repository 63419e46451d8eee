import { get } from './api.js';
import { badge, empty, foreign, h, section, table } from './dom.js';
import { bytes, count, distance, milliseconds, NONE, percent, time } from './format.js';
import { WHY_AWAY } from './overview.js';

/**
 * @typedef {object} Provider
 * @property {string} id
 * @property {string} state
 * @property {string} why
 * @property {number} [rttMs]
 * @property {number} [lossRate]
 * @property {number} [successRate]
 * @property {number} [bytesPerSecond]
 * @property {number} [preferredChunk]
 * @property {number} [usedBytes]
 * @property {number} [quotaBytes]
 * @property {boolean} [maintenance]
 * @property {number} [totalSlow]
 * @property {number} [totalFailures]
 * @property {number} [totalLies]
 * @property {{ at: number, operation: string, code: string, message: string }} [lastFailure]
 */

/** @type {import('./explorer.js').View} */
export const providers = {
  title: 'Providers',
  everyMs: 5_000,
  async load(_route, signal) {
    const [list, overview] = await Promise.all([
      get('storage/providers', { signal }),
      get('storage/overview', { signal }),
    ]);
    return { list: list.providers, without: overview.without };
  },
  render({ list, without }) {
    const away = new Map(without.map((/** @type {any} */ { provider, why }) => [provider, why]));
    const all = /** @type {readonly Provider[]} */ (list);
    const unknown = [...away].filter(([id]) => !all.some((provider) => provider.id === id));
    const failed = all.filter(({ lastFailure }) => lastFailure !== undefined && lastFailure !== null);
    return [
      all.length === 0 ? empty('No provider is configured.') : listOf(all, away),
      unknown.length > 0 &&
        section(
          'Not in the configuration',
          table(
            'Providers that hold shards and are not configured',
            [{ label: 'Provider' }, { label: 'Why it is not counted' }],
            unknown.map(([id, why]) => [foreign(id), WHY_AWAY[why] ?? why]),
            { hideCaption: true },
          ),
        ),
      section(
        'Last failures',
        failed.length === 0
          ? empty('None of them has failed yet.')
          : table(
              'The last failure of each provider, whatever came after it',
              [
                { label: 'Provider' },
                { label: 'When', kind: 'fixed' },
                { label: 'At a', kind: 'fixed' },
                { label: 'Error' },
              ],
              failed.map(({ id, lastFailure }) => [
                foreign(id),
                lastFailure && `${time(lastFailure.at)}, ${distance(lastFailure.at, Date.now())}`,
                lastFailure?.operation,
                lastFailure && foreign([lastFailure.code, lastFailure.message].filter(Boolean).join(': ')),
              ]),
              { hideCaption: true },
            ),
      ),
    ];
  },
};

/**
 * @param {readonly Provider[]} all
 * @param {ReadonlyMap<string, string>} away
 */
function listOf(all, away) {
  return table(
    'Providers, in the order of the configuration, with what was measured of late',
    [
      { label: 'Provider', kind: 'main' },
      { label: 'State' },
      { label: 'RTT', number: true },
      { label: 'Loss', number: true },
      { label: 'Success', number: true },
      { label: 'Bandwidth', number: true },
      { label: 'Chunk', number: true },
      { label: 'Used', number: true },
      { label: 'Of quota', kind: 'gauge' },
      { label: 'Slow · failed · lied', number: true },
    ],
    all.map((provider) => {
      const gone = away.get(provider.id);
      return [
        foreign(provider.id),
        stateOf(provider, gone),
        milliseconds(provider.rttMs),
        percent(provider.lossRate),
        percent(provider.successRate),
        provider.bytesPerSecond ? `${bytes(provider.bytesPerSecond)}/s` : NONE,
        bytes(provider.preferredChunk),
        bytes(provider.usedBytes),
        quotaOf(provider),
        provider.totalFailures === undefined
          ? NONE
          : [provider.totalSlow, provider.totalFailures, provider.totalLies].map(count).join(' · '),
      ];
    }),
    { hideCaption: true },
  );
}

/**
 * @param {Provider} provider
 * @param {string | undefined} gone
 */
function stateOf({ state, why, maintenance }, gone) {
  const kind = state === 'ok' ? 'good' : state === 'unprobed' || maintenance ? 'plain' : 'warn';
  return h(
    'span',
    null,
    badge(state.replaceAll('_', ' '), kind),
    gone !== undefined && badge(WHY_AWAY[gone] ?? gone, 'bad'),
    why !== '' && h('span', { class: 'why note' }, why),
  );
}

/** @param {Provider} provider */
function quotaOf({ usedBytes = 0, quotaBytes }) {
  if (quotaBytes === undefined || quotaBytes === null) return h('span', { class: 'note' }, 'no limit known');
  const share = quotaBytes === 0 ? 1 : Math.min(1, usedBytes / quotaBytes);
  const bar = h('span', { class: `bar ${share > 0.95 ? 'bad' : share > 0.8 ? 'warn' : ''}` });
  bar.style.setProperty('--share', String(share));
  return h(
    'span',
    { class: 'quota' },
    `${percent(share)} of ${bytes(quotaBytes)}`,
    h('span', { class: 'track', 'aria-hidden': 'true' }, bar),
  );
}
