export function stamped(version: number, start: number, length: number): Buffer;
export function versionOf(bytes: Uint8Array, start: number): number | undefined;
