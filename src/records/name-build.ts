import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { compareUtf8 } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import type { RecordsContext } from './context.ts';
import { ALL_BUILT, type IndexState, nameIndexOf } from './name-index.ts';
import { listedAs } from './name-page.ts';
import type { NameWrite } from './name-queue.ts';
import { type DamagedName, NAMES_TABLE, NameOpener } from './name-record.ts';

/** Names that are sorted at once, at a kilobyte or less each. */
const RUN = 8_192;
/** … and of them written in one step. */
const STEP = 256;
/** Somebody else may find damage and have it begun anew so often. */
const MAX_BEGUN = 8;

/**
 * Makes the index of names complete, where it is not: of a state that has none, or whose pages were damaged. It goes on
 * where an earlier call was cut off; names that change meanwhile are in the index already.
 * Names that cannot be read are left out, and noted beside the pages.
 * @throws HoldfastError `Corrupt`, code `authentication`, for another key than the names'; what the engine throws.
 */
export async function buildNameIndex(
  context: RecordsContext,
  options: AbortOptions = {},
): Promise<IndexState> {
  const index = nameIndexOf(context);
  for (let begun = 0; ; ) {
    const state = await index.state(options);
    if (state?.built === ALL_BUILT) return state;
    const { changes, damaged: unread, last } = await nextRun(context, state?.built ?? '', options);
    if (state === undefined) {
      if (++begun > MAX_BEGUN) throw damaged();
      await index.begin();
      continue;
    }
    if (state.built === '') await index.tidy(state, options);
    for (let at = 0; at < changes.length; at += STEP) {
      throwIfAborted(options.signal, 'the index of names');
      await index.write(changes.slice(at, at + STEP));
    }
    await index.noteDamaged(state, unread);
    await index.advance(state, last ?? ALL_BUILT);
  }
}

/** What is listed of the names whose keys come next, in the order of the names; `last` is undefined after the end. */
async function nextRun(
  context: RecordsContext,
  after: string,
  options: AbortOptions,
): Promise<{
  readonly changes: NameWrite[];
  readonly damaged: readonly DamagedName[];
  readonly last: string | undefined;
}> {
  const changes: NameWrite[] = [];
  const opener = new NameOpener(context);
  // Sorts before every hexadecimal digit.
  const range = { ...options, gte: `${after}!`, limit: RUN, onDamaged: opener.onDamaged };
  let read = 0;
  let last: string | undefined;
  for await (const [nameKey, sealed] of context.engine.table(NAMES_TABLE).entries(range)) {
    last = nameKey;
    read++;
    const pointer = opener.open(sealed, nameKey);
    if (pointer === undefined) continue;
    changes.push({ nameKey, expected: sealed, name: pointer.name, listed: listedAs(pointer), ops: [] });
  }
  opener.end();
  const end = read < RUN;
  changes.sort((a, b) => compareUtf8(a.name, b.name));
  return { changes, damaged: opener.damaged, last: end ? undefined : last };
}

const damaged = (): HoldfastError =>
  new HoldfastError('Corrupt', 'the index of names is damaged again and again', {
    code: 'engine_corrupt',
    hint: 'Names can be read all the same; check the disk that holds the home.',
  });
