import { ApiError, download, get } from './api.js';
import { announce, badge, empty, foreign, h, section, table } from './dom.js';
import { bytes, count, counted, NONE, short, time } from './format.js';

const LIMIT = 48;

/**
 * @typedef {{ provider: string, reads: number, signed: number, readers: number, bytes: number, signedBytes: number, executions: number, credited: number }} ProviderTotals
 *
 * @typedef {object} Epoch
 * @property {number} epoch hours since 1970
 * @property {number} fromMs
 * @property {'open' | 'closed' | 'final' | 'damaged'} state
 * @property {{ digest: string, tree: string, receipts: number, bytes: number, credited: number, denied: number, providers: readonly ProviderTotals[] }} [root]
 * @property {{ anchor: string, where: string, depth: number, atMs: number }} [final]
 */

/** @type {import('./explorer.js').View} */
export const receipts = {
  title: 'Receipts',
  everyMs: 30_000,
  async load({ query }, signal) {
    const before = query.get('before') ?? undefined;
    try {
      return await get('storage/receipts', { query: { limit: LIMIT, before }, signal });
    } catch (error) {
      if (error instanceof ApiError && error.why === 'missing') return { epochs: undefined };
      throw error;
    }
  },
  render({ epochs }, { query }) {
    if (epochs === undefined) {
      return [
        empty('Receipts are off here.'),
        h(
          'p',
          { class: 'note' },
          'A gateway keeps them when its configuration names a folder for them (',
          h('code', null, '[receipts] folder'),
          ').',
        ),
      ];
    }
    const hours = /** @type {readonly Epoch[]} */ (epochs);
    if (hours.length === 0) return [empty('Nothing was written down yet, or nothing before.')];
    const last = hours.at(-1);
    return [
      listOf(hours),
      h(
        'nav',
        { class: 'pager', 'aria-label': 'Pages' },
        query.has('before') && h('a', { href: '#/receipts' }, '← Newest'),
        hours.length === LIMIT && h('a', { href: `#/receipts?before=${last?.epoch}` }, 'Older →'),
      ),
      section('Proof of a receipt', proofForm(hours)),
      section('By provider', ...hours.flatMap(providersOf)),
    ];
  },
};

/** @type {Readonly<Record<string, readonly ['good' | 'warn' | 'bad' | 'plain', string]>>} */
const STATES = {
  open: ['plain', 'open'],
  closed: ['warn', 'closed, not anchored yet'],
  final: ['good', 'anchored'],
  damaged: ['bad', 'damaged'],
};

/** @param {readonly Epoch[]} hours */
function listOf(hours) {
  return table(
    'Hours of receipts, the newest first',
    [
      { label: 'Hour from', kind: 'fixed' },
      { label: 'Epoch', number: true },
      { label: 'State' },
      { label: 'Receipts', number: true },
      { label: 'Read', number: true },
      { label: 'Credited', number: true },
      { label: 'Denied', number: true },
      { label: 'Digest of the root', kind: 'fixed' },
      { label: 'Anchored' },
    ],
    hours.map(({ epoch, fromMs, state, root, final }) => {
      const [kind, word] = STATES[state] ?? ['plain', state];
      return [
        time(fromMs).slice(0, 16),
        String(epoch),
        badge(word, kind),
        count(root?.receipts),
        bytes(root?.bytes),
        bytes(root?.credited),
        count(root?.denied),
        root === undefined ? NONE : h('span', { class: 'mono', title: root.digest }, short(root.digest)),
        final === undefined
          ? ''
          : h(
              'span',
              null,
              foreign(`${final.anchor}, ${final.where}`),
              h('span', { class: 'why note' }, `depth ${count(final.depth)}, ${time(final.atMs)}`),
            ),
      ];
    }),
    { hideCaption: true },
  );
}

/** @param {Epoch} hour */
function providersOf({ epoch, fromMs, root }) {
  if (root === undefined || root.providers.length === 0) return [];
  const its = root.providers;
  return [
    h(
      'details',
      { 'data-key': `epoch ${epoch}` },
      h('summary', null, `${time(fromMs).slice(0, 16)} · ${counted(its.length, 'provider')}`),
      table(
        `Reads credited to each provider in the hour from ${time(fromMs).slice(0, 16)}`,
        [
          { label: 'Provider' },
          { label: 'Reads', number: true },
          { label: 'Signed', number: true },
          { label: 'Readers', number: true },
          { label: 'Read', number: true },
          { label: 'Signed for', number: true },
          { label: 'Credited', number: true },
        ],
        its.map((one) => [
          foreign(one.provider),
          count(one.reads),
          count(one.signed),
          count(one.readers),
          bytes(one.bytes),
          bytes(one.signedBytes),
          bytes(one.credited),
        ]),
        { hideCaption: true },
      ),
    ),
  ];
}

/** @param {readonly Epoch[]} hours */
function proofForm(hours) {
  const closed = hours.filter(({ root }) => root !== undefined);
  if (closed.length === 0) return empty('An hour has proofs once it has a root, five minutes after its end.');
  const epoch = h(
    'select',
    { id: 'epoch', 'data-key': 'epoch' },
    closed.map(({ epoch: one, fromMs }) =>
      h('option', { value: one }, `${one} · ${time(fromMs).slice(0, 16)}`),
    ),
  );
  const id = h('input', {
    id: 'receipt',
    'data-key': 'receipt',
    autocomplete: 'off',
    spellcheck: 'false',
    required: true,
    pattern: '[0-9a-f]{32}|[0-9a-f]{64}',
    'aria-describedby': 'proof-said',
  });
  const said = h(
    'p',
    { id: 'proof-said', class: 'note line' },
    '64 hex digits for a read, 32 for an execution. ',
    h('code', null, 'holdfast receipts show EPOCH --records'),
    ' lists them. ',
    h('code', null, 'holdfast receipts verify'),
    ' checks the file without this gateway.',
  );
  const tell = (/** @type {string} */ text) => {
    said.textContent = text;
    announce(text);
  };
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const query = { epoch: epoch.value, id: id.value.trim() };
    try {
      await download('storage/receipts/proof', {
        query,
        name: `${query.epoch}-${query.id.slice(0, 16)}.proof`,
      });
      tell('The proof was downloaded.');
    } catch (error) {
      tell(`There is no proof: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  return h(
    'form',
    { class: 'filters', onsubmit: (event) => void submit(event) },
    h('div', null, h('label', { for: 'epoch' }, 'Epoch'), epoch),
    h('div', null, h('label', { for: 'receipt' }, 'Id of the receipt'), id),
    h('div', null, h('button', { type: 'submit' }, 'Download the proof')),
    said,
  );
}
