/**
 * Cuts a stream of pieces into pieces of exactly `pieceBytes` (the last one shorter). Copies only where a boundary
 * of the source falls inside a piece.
 */
export async function* toGrid(
  source: AsyncIterable<Uint8Array>,
  pieceBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let pending: Uint8Array | undefined;
  let filled = 0;
  for await (const piece of source) {
    let at = 0;
    if (pending !== undefined) {
      at = Math.min(piece.length, pieceBytes - filled);
      pending.set(piece.subarray(0, at), filled);
      filled += at;
      if (filled < pieceBytes) continue;
      yield pending;
      pending = undefined;
    }
    for (; at + pieceBytes <= piece.length; at += pieceBytes) yield piece.subarray(at, at + pieceBytes);
    if (at === piece.length) continue;
    pending = new Uint8Array(pieceBytes);
    pending.set(piece.subarray(at));
    filled = piece.length - at;
  }
  if (pending !== undefined) yield pending.subarray(0, filled);
}
