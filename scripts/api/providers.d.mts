import type { AdapterKind } from '../../src/providers/kind.ts';

export function keysTable(kinds: readonly AdapterKind[]): string;
export function withKeysTable(page: string, kinds: readonly AdapterKind[]): string;
