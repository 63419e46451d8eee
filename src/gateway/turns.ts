/** Lets a few begin in each turn of the loop, in the order in which they came, so that others have their turns between. */
export class Turns {
  readonly #perTurn: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #begun = 0;
  #isCounting = false;

  constructor(perTurn: number, maxWaiting: number) {
    this.#perTurn = perTurn;
    this.#maxWaiting = maxWaiting;
  }

  /** Resolves when its turn is there; false, at once, where too many wait already. */
  async take(): Promise<boolean> {
    if (this.#begun < this.#perTurn) {
      this.#begun++;
      this.#count();
      return true;
    }
    if (this.#waiting.length >= this.#maxWaiting) return false;
    await new Promise<void>((begin) => this.#waiting.push(begin));
    return true;
  }

  #count(): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    setImmediate(() => {
      this.#isCounting = false;
      const next = this.#waiting.splice(0, this.#perTurn);
      this.#begun = next.length;
      if (next.length > 0) this.#count();
      for (const begin of next) begin();
    });
  }
}
