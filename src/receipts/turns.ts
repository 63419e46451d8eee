/** Of one id: whoever has it has a key to sign with, and needs no more. */
const MAX_WRONG = 4;
/** Ids that are remembered for their wrong signatures; those of late. */
const MAX_REMEMBERED = 16_384;

/**
 * What is said of one id, one after the other: a copy of what is being looked at costs nothing, and a read by itself cannot
 * have thousands of signatures checked.
 */
export class Turns<R> {
  readonly #isWrong: R;
  readonly #last = new Map<string, Promise<unknown>>();
  readonly #wrong = new Map<string, number>();

  /** @param isWrong what is said of a wrong signature. */
  constructor(isWrong: R) {
    this.#isWrong = isWrong;
  }

  /** @param work what is said of this one; undefined: it is taken. */
  async take(id: string, work: () => Promise<R | undefined>): Promise<R | undefined> {
    const before = this.#last.get(id);
    const turn = (): Promise<R | undefined> => this.#try(id, work);
    const mine = before === undefined ? turn() : before.then(turn, turn);
    this.#last.set(id, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(id) === mine) this.#last.delete(id);
    }
  }

  async #try(id: string, work: () => Promise<R | undefined>): Promise<R | undefined> {
    const wrong = this.#wrong.get(id) ?? 0;
    if (wrong >= MAX_WRONG) return this.#isWrong;
    const refusal = await work();
    if (refusal !== this.#isWrong) return refusal;
    this.#wrong.set(id, wrong + 1);
    if (this.#wrong.size > MAX_REMEMBERED) this.#wrong.delete(this.#wrong.keys().next().value!);
    return refusal;
  }
}
