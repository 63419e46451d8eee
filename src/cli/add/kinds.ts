import type { AdapterKind } from '../../providers/kind.ts';
import { BUILT_IN } from '../../providers/registry.ts';
import type { Question, Setup } from '../../providers/setup.ts';

/** One way to add a provider, and the kind of adapter that it makes a table of. */
export interface AddKind extends Setup {
  readonly adapter: AdapterKind['name'];
}

/** By name, as in `holdfast providers add NAME`. */
export const ADD_KINDS: ReadonlyMap<string, AddKind> = new Map(
  BUILT_IN.all.flatMap(({ name: adapter, setups = [] }) =>
    setups.map((setup) => [setup.name, { ...setup, adapter }] as const),
  ),
);

/** What can be asked, each flag once. */
export const QUESTIONS: readonly Question[] = [...ADD_KINDS.values()]
  .flatMap(({ questions }) => questions)
  .filter(({ flag }, i, all) => all.findIndex((other) => other.flag === flag) === i);
