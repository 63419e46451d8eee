import type { CodecName } from '../../coding/compress/codec.ts';

/** So many chunks in a row that did not shrink: the object probably does not. */
const CONVINCED = 8;
/** From then on one chunk of so many is tried, in case what follows is of another kind. */
const RETRY_EVERY = 16;

/** Which codec an object's next chunk is worth. Chunks are encoded side by side, so what is known lags a little. */
export class CodecMemory {
  readonly #codec: CodecName;
  #unshrunk = 0;

  constructor(codec: CodecName) {
    this.#codec = codec;
  }

  codecFor(chunk: number): CodecName {
    return this.#unshrunk < CONVINCED || chunk % RETRY_EVERY === 0 ? this.#codec : 'none';
  }

  /** @param tried the codec asked for; @param shrunk whether the chunk became shorter. */
  learn(tried: CodecName, shrunk: boolean): void {
    if (shrunk) this.#unshrunk = 0;
    else if (tried !== 'none') this.#unshrunk++;
  }
}
