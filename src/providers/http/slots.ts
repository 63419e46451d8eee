import { isHoldfastError } from '../../core/errors.ts';
import { MAX_SLOT_BYTES, type Slot, type SlotName, type SlotVersion } from '../adapter.ts';
import type { Slots } from '../generations.ts';
import { slotConflict } from '../guard.ts';
import { collect } from '../pieces.ts';
import type { WireAnswer } from '../wire/answer.ts';
import { badAnswer, type NodeClient } from './client.ts';

/** Slots of a node: the version is the entity tag as the node wrote it. */
export function createNodeSlots(client: NodeClient): Pick<Slots, 'read' | 'write' | 'delete'> {
  const pathOf = (name: SlotName): string => `/slots/${name}`;
  return {
    async read(name, signal): Promise<Slot | undefined> {
      try {
        const answer = await client.call({ method: 'GET', path: pathOf(name), signal });
        return { bytes: await collect(answer.body, MAX_SLOT_BYTES), version: versionOf(answer) };
      } catch (error) {
        if (isHoldfastError(error, 'NotFound')) return undefined;
        throw error;
      }
    },
    async write(name, bytes, expected, signal) {
      if (expected !== undefined && !/^"[\x21\x23-\x7e]*"$/.test(expected)) throw slotConflict();
      const condition = expected === undefined ? { 'if-none-match': '*' } : { 'if-match': expected };
      const headers = { ...condition, 'content-length': String(bytes.length) };
      const request = { method: 'PUT', path: pathOf(name), headers, body: [bytes], signal };
      const answer = await client.call(request).catch((error: unknown) => {
        throw isHoldfastError(error, 'Conflict') ? slotConflict() : error;
      });
      await answer.discard();
      return versionOf(answer);
    },
    async delete(name, signal, forget = false) {
      const path = forget ? `${pathOf(name)}?forget=true` : pathOf(name);
      await (await client.call({ method: 'DELETE', path, signal })).discard();
    },
  };
}

function versionOf(answer: WireAnswer): SlotVersion {
  const version = answer.header('etag');
  if (version === undefined) throw badAnswer('a slot without a version');
  return version;
}
