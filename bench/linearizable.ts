/** One operation on a register, as its client saw it; times of one monotonic clock. */
export interface Operation {
  readonly register: string;
  readonly call: number;
  /** Infinity: nobody heard of its end, so it may have taken effect at any time after the call, or never. */
  readonly ended: number;
  readonly what:
    | { readonly kind: 'read'; readonly saw: string | null }
    | { readonly kind: 'write'; readonly value: string | null }
    | {
        readonly kind: 'cas';
        readonly expected: string | null;
        readonly value: string | null;
        /** Undefined: nobody heard. */
        readonly done: boolean | undefined;
      };
}

export interface Verdict {
  readonly operations: number;
  /** Registers whose history no order of its operations explains. */
  readonly anomalies: readonly string[];
  /** Registers of which it could not be told within the steps that were allowed. */
  readonly undecided: readonly string[];
}

const MAX_STEPS = 5_000_000;

/**
 * Whether each register's history could have come from one register that does one operation at a time, each between its
 * call and its end: Wing and Gong's search, which forgets no state that it has been in (Lowe). Registers are
 * independent, so each is judged by itself. All begin with nothing.
 */
export function judge(history: readonly Operation[]): Verdict {
  const byRegister = new Map<string, Operation[]>();
  for (const operation of history) {
    const its = byRegister.get(operation.register) ?? [];
    byRegister.set(operation.register, its);
    its.push(operation);
  }
  const anomalies: string[] = [];
  const undecided: string[] = [];
  for (const [register, operations] of byRegister) {
    const explained = isLinearizable(operations);
    if (explained === undefined) undecided.push(register);
    else if (!explained) anomalies.push(register);
  }
  return { operations: history.length, anomalies, undecided };
}

/** What is left of a search at one point: what has been done, and what the register then holds. */
interface Point {
  readonly done: Uint8Array;
  readonly first: number;
  readonly value: string | null;
}

function isLinearizable(given: readonly Operation[]): boolean | undefined {
  const operations = given.toSorted((a, b) => a.call - b.call);
  const seen = new Set<string>();
  const open: Point[] = [{ done: new Uint8Array(operations.length), first: 0, value: null }];
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    const point = open.pop();
    if (point === undefined) return false;
    if (!operations.some(({ ended }, i) => point.done[i] === 0 && i >= point.first && ended !== Infinity))
      return true;
    for (const next of nextOf(operations, point)) {
      const key = keyOf(next);
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(next);
    }
  }
  return undefined;
}

/** All that may come next: what was called before anything else that is left had ended. */
function* nextOf(operations: readonly Operation[], { done, first, value }: Point): Generator<Point> {
  let deadline = Number.POSITIVE_INFINITY;
  for (let i = first; i < operations.length && operations[i]!.call <= deadline; i++)
    if (done[i] === 0) deadline = Math.min(deadline, operations[i]!.ended);
  for (let i = first; i < operations.length && operations[i]!.call <= deadline; i++) {
    if (done[i] !== 0) continue;
    const after = apply(operations[i]!.what, value);
    if (after === undefined) continue;
    const then = done.slice();
    then[i] = 1;
    let from = first;
    while (then[from] === 1) from++;
    yield { done: then, first: from, value: after.value };
  }
}

/** Undefined: it cannot have happened to a register that holds this. */
function apply(what: Operation['what'], value: string | null): { readonly value: string | null } | undefined {
  if (what.kind === 'read') return what.saw === value ? { value } : undefined;
  if (what.kind === 'write') return { value: what.value };
  const holds = what.expected === value;
  if (what.done !== undefined && what.done !== holds) return undefined;
  return { value: holds ? what.value : value };
}

/** What is done before `first` is all of it. */
function keyOf({ done, first, value }: Point): string {
  let beyond = '';
  for (let i = first; i < done.length; i++) if (done[i] === 1) beyond += `${i},`;
  return `${first}|${beyond}|${value}`;
}
