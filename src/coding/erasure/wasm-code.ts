import { FunctionBody, moduleOf, NOTHING, OP } from './wasm-binary.ts';
import type { XorTile } from './xor-program.ts';

/**
 * A WebAssembly module for one tile: straight-line SIMD, 16 bytes of every packet at a time, in a loop along the
 * packet in a loop along the blocks of the shard.
 *
 * `run(pointer of each input…, pointer of each output…, packet length, blocks)`.
 *
 * @param fixedPacket bakes a packet length in, so that packets are addressed by constants; 0 leaves it to the call.
 */
export function tileModule(tile: XorTile, fixedPacket: number, sharedMemory: boolean): Uint8Array {
  const shards = tile.inputs.length + tile.outputs.length;
  const packet = shards;
  const blocks = shards + 1;
  const end = shards + 2;
  const multiples = shards + 3;
  const body = new FunctionBody(shards + 2, 1 + tile.lanes);
  const step = 16 * unrolling(tile);

  for (let lane = 0; lane < tile.lanes; lane++) {
    body
      .get(packet)
      .constant(lane)
      .op(OP.multiply)
      .set(multiples + lane);
  }
  body.op(OP.loop, NOTHING).get(0).get(packet).op(OP.add).set(end);
  body.op(OP.loop, NOTHING);
  for (let at = 0; at < step; at += 16) {
    emitSums(body, tile, {
      /** Leaves the address of a packet on the stack but for a constant, which it returns. */
      address(shard, lane) {
        body.get(shard);
        if (fixedPacket === 0 && lane > 0) body.get(multiples + lane).op(OP.add);
        return fixedPacket * lane + at;
      },
    });
  }
  for (let shard = shards - 1; shard >= 0; shard--) body.get(shard).constant(step).op(OP.add).set(shard);
  body.get(0).get(end).op(OP.notEqual, OP.branchIf, 0, OP.end);
  for (let shard = 0; shard < shards; shard++) {
    if (tile.lanes > 1)
      body
        .get(shard)
        .get(multiples + tile.lanes - 1)
        .op(OP.add)
        .set(shard);
  }
  body.get(blocks).constant(1).op(OP.subtract).tee(blocks).op(OP.branchIf, 0, OP.end);
  return moduleOf(body, sharedMemory);
}

/** Short sums are cheaper than the loop around them. Every packet is a multiple of 64 bytes. */
const unrolling = (tile: XorTile): number => (tile.lanes === 1 ? 4 : 1);

interface Addressing {
  address(shard: number, lane: number): number;
}

/**
 * Inputs are loaded again at each use, which is cheaper than keeping 128 of them; shared sums are computed where
 * they are first needed and kept in locals, most of which end up on the stack.
 */
function emitSums(body: FunctionBody, tile: XorTile, { address }: Addressing): void {
  const inputs = tile.inputs.length * tile.lanes;
  const kept = new Map<number, number>();
  const push = (term: number): void => {
    const local = kept.get(term);
    if (local !== undefined) {
      body.get(local);
    } else if (term < inputs) {
      body.load(address(Math.floor(term / tile.lanes), term % tile.lanes));
    } else {
      const [a, b] = tile.shared[term - inputs]!;
      push(a);
      push(b);
      const fresh = body.newVector();
      body.xor().tee(fresh);
      kept.set(term, fresh);
    }
  };
  for (const [r, row] of tile.rows.entries()) {
    const output = tile.inputs.length + Math.floor(r / tile.lanes);
    const offset = address(output, r % tile.lanes);
    if (tile.accumulate) body.load(address(output, r % tile.lanes));
    else if (row.length === 0) body.zero();
    for (const [i, term] of row.entries()) {
      push(term);
      if (i > 0 || tile.accumulate) body.xor();
    }
    body.store(offset);
  }
}
