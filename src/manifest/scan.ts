import { HoldfastError } from '../core/errors.ts';

export interface CborLimits {
  readonly maxBytes: number;
  readonly maxDepth: number;
  /** Data items in all, keys included. */
  readonly maxItems: number;
}

/**
 * Walks the heads of one CBOR item (RFC 8949) without building anything, so that a hostile input is refused
 * before a decoder allocates for it.
 * @throws HoldfastError `Corrupt` on truncation, trailing bytes, indefinite lengths, or a limit exceeded.
 */
export function scanCbor(bytes: Uint8Array, limits: CborLimits): void {
  if (bytes.length > limits.maxBytes) throw refused(`larger than ${limits.maxBytes} bytes`);
  /** Items still expected at each open level. */
  const open: number[] = [1];
  let at = 0;
  let items = 0;
  while (open.length > 0) {
    const left = open[open.length - 1]!;
    if (left === 0) {
      open.pop();
      continue;
    }
    open[open.length - 1] = left - 1;
    if (++items > limits.maxItems) throw refused(`more than ${limits.maxItems} items`);
    const head = readHead(bytes, at);
    at = head.next;
    if (head.major === 2 || head.major === 3) at += head.value;
    const children = childrenOf(head);
    if (children > bytes.length - at) throw refused('truncated');
    if (children > 0) open.push(children);
    if (open.length > limits.maxDepth + 1) throw refused(`nested deeper than ${limits.maxDepth}`);
    if (at > bytes.length) throw refused('truncated');
  }
  if (at !== bytes.length) throw refused('trailing bytes');
}

interface Head {
  readonly major: number;
  readonly value: number;
  readonly next: number;
}

function childrenOf(head: Head): number {
  if (head.major === 4) return head.value;
  if (head.major === 5) return 2 * head.value;
  return head.major === 6 ? 1 : 0;
}

function readHead(bytes: Uint8Array, at: number): Head {
  const first = bytes[at];
  if (first === undefined) throw refused('truncated');
  const major = first >> 5;
  const info = first & 31;
  if (info < 24) return { major, value: info, next: at + 1 };
  if (info > 27) throw refused('indefinite or reserved length');
  const width = 1 << (info - 24);
  if (at + 1 + width > bytes.length) throw refused('truncated');
  let value = 0;
  for (let i = 1; i <= width; i++) value = value * 256 + bytes[at + i]!;
  return { major, value, next: at + 1 + width };
}

function refused(why: string): HoldfastError {
  return new HoldfastError('Corrupt', `malformed CBOR: ${why}`, { code: 'malformed_cbor' });
}
