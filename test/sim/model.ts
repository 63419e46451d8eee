import { equalBytes } from '../../src/core/bytes.ts';

type Status = 'running' | 'acknowledged' | 'doubtful';

/** One change of a name, as its caller saw it. */
export interface Change {
  readonly name: string;
  /** Undefined: a removal. */
  readonly content: Uint8Array | undefined;
  readonly home: string;
  readonly startMs: number;
  endMs: number;
  status: Status;
}

/**
 * What names may stand for, from what callers were told. Strict: one home whose state never went back, so changes
 * have one order. Otherwise a change is surely older only if its own home made the newer one, and one in doubt may win at
 * any time, as a version that only slots have.
 */
export class Model {
  strict = true;
  /** Reads whose result was compared. */
  compared = 0;
  readonly #changes = new Map<string, Change[]>();

  get names(): string[] {
    return [...this.#changes.keys()].sort();
  }

  begin(change: Pick<Change, 'name' | 'content' | 'home' | 'startMs'>): Change {
    const begun: Change = { ...change, endMs: Number.POSITIVE_INFINITY, status: 'running' };
    const all = this.#changes.get(change.name) ?? [];
    all.push(begun);
    this.#changes.set(change.name, all);
    return begun;
  }

  end(change: Change, status: Exclude<Status, 'running'>, nowMs: number): void {
    change.endMs = nowMs;
    change.status = status;
  }

  /** Whether a read that began then may find this. @param content undefined: that there is no such name. */
  allows(name: string, content: Uint8Array | undefined, readStartMs: number): boolean {
    this.compared++;
    const all = this.#changes.get(name) ?? [];
    const fits = (change: Change): boolean =>
      content === undefined
        ? change.content === undefined
        : change.content !== undefined && equalBytes(change.content, content);
    const current = (change: Change): boolean => !all.some((by) => this.#supersedes(by, change, readStartMs));
    if (all.some((change) => fits(change) && current(change))) return true;
    if (content !== undefined) return false;
    // It never was there for sure.
    return !all.some((by) => by.status === 'acknowledged' && by.endMs <= readStartMs);
  }

  /** Whether a list that began then may have this name, or lack it. */
  allowsPresence(name: string, present: boolean, listStartMs: number): boolean {
    if (!present) return this.allows(name, undefined, listStartMs);
    this.compared++;
    const all = this.#changes.get(name) ?? [];
    return all.some(
      (change) =>
        change.content !== undefined && !all.some((by) => this.#supersedes(by, change, listStartMs)),
    );
  }

  #supersedes(by: Change, change: Change, readStartMs: number): boolean {
    if (by === change || by.status !== 'acknowledged' || by.endMs > readStartMs) return false;
    if (!this.strict && (by.home !== change.home || change.status !== 'acknowledged')) return false;
    return change.endMs <= by.startMs;
  }

  /** Whether any change put this content under this name, or the name that it forked from. */
  knows(name: string, content: Uint8Array): boolean {
    const base = name.replace(/ \(fork [0-9a-f]+\)$/, '');
    const all = this.#changes.get(base) ?? [];
    return all.some((change) => change.content !== undefined && equalBytes(change.content, content));
  }
}
