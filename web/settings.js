import { get } from './api.js';
import { badge, foreign, h, section, table } from './dom.js';
import { bytes, count } from './format.js';

/** @type {import('./explorer.js').View} */
export const settings = {
  title: 'Settings',
  everyMs: 30_000,
  load: (_route, signal) => get('storage/settings', { signal }),
  render({ policy, sealed, warnings = [], ...rest }) {
    return [
      h(
        'p',
        { class: 'note' },
        'What is in force in this process. It is changed in the configuration, never here.',
      ),
      section('Policy', policyOf(policy)),
      warnings.length > 0 &&
        section(
          'Warnings',
          table(
            'Warnings of the configuration',
            [{ label: 'Code', kind: 'mono' }, { label: 'What it says' }],
            warnings.map((/** @type {any} */ { code, message }) => [code, foreign(message)]),
            { hideCaption: true },
          ),
        ),
      sealed === true && h('p', null, badge('sealed', 'plain'), ' This process has no key.'),
      ...Object.entries(rest).map(([name, its]) => section(TITLES[name] ?? words(name), valuesOf(name, its))),
    ];
  },
};

/** @type {Readonly<Record<string, string>>} */
const TITLES = {
  writes: 'What new objects are written with',
  placement: 'Placement',
  retention: 'What is kept',
  repair: 'Repair',
  scrub: 'Scrub',
  engines: 'Engines',
};

/** @param {any} policy */
function policyOf({ erasure, compression }) {
  const row = (/** @type {string} */ what, /** @type {any} */ its) => [
    what,
    its.algorithm,
    its.fallback ?? '',
    its.emergency
      ? badge('permitted by the emergency switch', 'bad')
      : its.fallbackAllowed
        ? badge('permitted', 'warn')
        : badge('refused', 'good'),
    its.refused ?? '',
  ];
  return table(
    'Which algorithms write new objects, and whether their fallbacks may',
    [
      { label: 'For' },
      { label: 'In force' },
      { label: 'Fallback' },
      { label: 'Fallback may write' },
      { label: 'Why not' },
    ],
    [row('Erasure coding', erasure), row('Compression', compression)],
    { hideCaption: true },
  );
}

/** @param {string} name `failureDomain` */
const words = (name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/**
 * @param {string} section
 * @param {any} values
 */
function valuesOf(section, values) {
  const rows = Object.entries(values).flatMap(([name, value]) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.entries(value).map(([inner, one]) => [`${words(name)}: ${inner}`, shownAs(inner, one)])
      : [[words(name), shownAs(name, value)]],
  );
  return table(
    `${TITLES[section] ?? section}, as set`,
    [{ label: 'Setting', kind: 'half' }, { label: 'Value' }],
    rows,
    { hideCaption: true },
  );
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function shownAs(name, value) {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value !== 'number') return foreign(String(value));
  if (/perDay$|Bytes$|BelowBytes$/i.test(name)) return value === 0 ? 'no limit' : bytes(value);
  if (/bytesPerSecond$/i.test(name)) return value === 0 ? 'no limit' : `${bytes(value)}/s`;
  const unit = /(Seconds|Hours|Days|Ms)$/.exec(name)?.[1]?.toLowerCase();
  return unit === undefined ? count(value) : `${count(value)} ${unit}`;
}
