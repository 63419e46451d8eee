/** Which accelerated twins may be used. The bytes are the same either way. */
export interface Acceleration {
  /** Native addons and OpenSSL. Off: WebAssembly and portable libraries only. */
  readonly native: boolean;
  readonly wasm: boolean;
}

/** Reads `HOLDFAST_NATIVE=off` and `HOLDFAST_WASM=off`. */
export function accelerationFrom(env: Readonly<Record<string, string | undefined>>): Acceleration {
  return { native: env.HOLDFAST_NATIVE !== 'off', wasm: env.HOLDFAST_WASM !== 'off' };
}

/** Told of an accelerated implementation that is there, and is not used for what it computed or did. */
export type OnUnfit = (what: string, implementation: string, why: string) => void;

export const WRONG_BYTES = 'gave wrong bytes';
