/** WebAssembly's binary format (core specification, chapter 5), as far as a module of straight-line code needs it. */

const I32 = 0x7f;
const V128 = 0x7b;
/** In a block's type position: it leaves nothing on the stack. */
export const NOTHING = 0x40;

export const OP = {
  loop: 0x03,
  end: 0x0b,
  branchIf: 0x0d,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  constant: 0x41,
  notEqual: 0x47,
  add: 0x6a,
  subtract: 0x6b,
  multiply: 0x6c,
  vector: 0xfd,
} as const;

const VECTOR_LOAD = 0x00;
const VECTOR_STORE = 0x0b;
const VECTOR_CONSTANT = 0x0c;
const VECTOR_XOR = 0x51;
const ALIGN_16 = 4;

/** The body of one function, all of whose parameters are i32 and which returns nothing. */
export class FunctionBody {
  readonly #code: number[] = [];
  readonly #parameters: number;
  readonly #integers: number;
  #vectors = 0;

  /** Locals are numbered on: parameters, then integers, then vectors as they are asked for. */
  constructor(parameters: number, integers: number) {
    this.#parameters = parameters;
    this.#integers = integers;
  }

  newVector(): number {
    return this.#parameters + this.#integers + this.#vectors++;
  }

  op(...bytes: readonly number[]): this {
    this.#code.push(...bytes);
    return this;
  }
  get(local: number): this {
    return this.op(OP.get, ...unsigned(local));
  }
  set(local: number): this {
    return this.op(OP.set, ...unsigned(local));
  }
  tee(local: number): this {
    return this.op(OP.tee, ...unsigned(local));
  }
  constant(value: number): this {
    return this.op(OP.constant, ...signed(value));
  }
  load(offset: number): this {
    return this.op(OP.vector, VECTOR_LOAD, ALIGN_16, ...unsigned(offset));
  }
  store(offset: number): this {
    return this.op(OP.vector, VECTOR_STORE, ALIGN_16, ...unsigned(offset));
  }
  zero(): this {
    return this.op(OP.vector, VECTOR_CONSTANT, ...new Array<number>(16).fill(0));
  }
  xor(): this {
    return this.op(OP.vector, ...unsigned(VECTOR_XOR));
  }

  get parameters(): number {
    return this.#parameters;
  }

  encode(): number[] {
    const locals = [2, ...unsigned(this.#integers), I32, ...unsigned(this.#vectors), V128];
    const body = [...locals, ...this.#code, OP.end];
    return [...unsigned(body.length), ...body];
  }
}

/** A module that imports `arena.memory`, shared between threads or not, and exports one function, `run`. */
export function moduleOf(body: FunctionBody, sharedMemory: boolean): Uint8Array {
  const maximumPages = 65_536;
  const type = [0x60, ...list(new Array<number[]>(body.parameters).fill([I32])), 0];
  const memory = [
    ...text('arena'),
    ...text('memory'),
    0x02,
    sharedMemory ? 0x03 : 0x01,
    0,
    ...unsigned(maximumPages),
  ];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list([type])),
    ...section(2, list([memory])),
    ...section(3, list([[0]])),
    ...section(7, list([[...text('run'), 0x00, 0]])),
    ...section(10, list([body.encode()])),
  ]);
}

const section = (id: number, content: number[]): number[] => [id, ...unsigned(content.length), ...content];
const list = (items: readonly number[][]): number[] => [...unsigned(items.length), ...items.flat()];
const text = (name: string): number[] => [...unsigned(name.length), ...[...name].map((c) => c.charCodeAt(0))];

/** LEB128. */
function unsigned(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    out.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return [...out, rest];
}

function signed(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  while (rest < -64 || rest > 63) {
    out.push((rest & 0x7f) | 0x80);
    rest >>= 7;
  }
  return [...out, rest & 0x7f];
}
