/** The few parts of the WebAssembly API in use, typed here because TypeScript declares it only with the whole DOM. */

/** A `WebAssembly.Memory`. Its buffer changes when it grows: take it afresh, keep no views. */
export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
  /** @param pages of 64 KiB to add. @returns the pages there were before. */
  grow(pages: number): number;
}

interface WasmInstance {
  readonly exports: Readonly<Record<string, unknown>>;
}

type WasmImports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface WasmApi {
  readonly Memory: new (shape: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports?: WasmImports) => WasmInstance;
  validate(bytes: Uint8Array): boolean;
}

/** Undefined where the runtime has no WebAssembly. */
export const wasmApi: WasmApi | undefined = (globalThis as { WebAssembly?: WasmApi }).WebAssembly;

export const WASM_PAGE_BYTES = 65_536;

/**
 * Memory that threads can share: a worker gets the very same bytes when it is posted to it.
 * @throws TypeError where there is no WebAssembly; RangeError when the system refuses that much.
 */
export function createSharedMemory(initialBytes: number, maximumBytes: number = initialBytes): WasmMemory {
  return allocate(initialBytes, maximumBytes, true);
}

/** Memory of one thread. */
export function createMemory(initialBytes: number, maximumBytes: number = initialBytes): WasmMemory {
  return allocate(initialBytes, maximumBytes, false);
}

export function isShared(memory: WasmMemory): boolean {
  return !(memory.buffer instanceof ArrayBuffer);
}

function allocate(initialBytes: number, maximumBytes: number, shared: boolean): WasmMemory {
  if (wasmApi === undefined) throw new TypeError('this runtime has no WebAssembly');
  const pages = (bytes: number): number => Math.max(1, Math.ceil(bytes / WASM_PAGE_BYTES));
  return new wasmApi.Memory({ initial: pages(initialBytes), maximum: pages(maximumBytes), shared });
}
