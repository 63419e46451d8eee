import type { BlobAddress } from '../core/address.ts';
import type { Clock } from '../core/clock.ts';
import { isHoldfastError } from '../core/errors.ts';
import { createSharedWork } from '../core/shared-work.ts';
import type { OpenRoot } from '../manifest/root.ts';
import type { NodeMemory, OpenedManifest, OpenNode } from '../object/readable-segments.ts';

/** Manifests that reads have opened, least recently used out first. A read of one that is here works on none. */
export interface OpenedManifests {
  /** @throws HoldfastError as opening does. */
  open(address: BlobAddress, signal: AbortSignal): Promise<OpenedManifest>;
  forget(address: BlobAddress): void;
}

interface OpenedManifestsOptions {
  readonly clock: Clock;
  /** What the manifests may take in memory; 0 keeps none. */
  readonly maxBytes: number;
  load(address: BlobAddress, signal: AbortSignal): Promise<LoadedManifest>;
  onLookup(hit: boolean): void;
  /** Told how many bytes they take whenever that changes. */
  onUsed(bytes: number): void;
  /** The object has been deleted since it was opened. */
  onGone(address: BlobAddress): void;
}

interface LoadedManifest {
  readonly root: OpenRoot;
  /** Length of the root block. */
  readonly bytes: number;
}

const MAX_COUNT = 4096;
/** An object that was deleted is served from memory no longer than this. */
const MAX_AGE_MS = 60_000;
/** Decoded, a node takes about twice what it does as a block; and every manifest something beside. */
const EXPANSION = 2;
const OVERHEAD_BYTES = 4096;

interface Entry extends OpenedManifest {
  readonly openedMs: number;
  readonly nodes: KeptNodes;
  /** Without its nodes. */
  readonly rootBytes: number;
}

export function createOpenedManifests(options: OpenedManifestsOptions): OpenedManifests {
  const { clock, maxBytes, load, onLookup, onUsed, onGone } = options;
  const entries = new Map<BlobAddress, Entry>();
  const openings = createSharedWork<OpenedManifest>();
  let used = 0;
  const use = (bytes: number): void => {
    used += bytes;
    onUsed(used);
  };

  const forget = (address: BlobAddress): void => {
    const entry = entries.get(address);
    if (entry === undefined) return;
    use(-entry.rootBytes - entry.nodes.bytes);
    entries.delete(address);
  };

  const keep = (manifest: BlobAddress, { root, bytes }: LoadedManifest): OpenedManifest => {
    const rootBytes = OVERHEAD_BYTES + EXPANSION * bytes;
    const grow = (by: number): boolean => {
      // Whoever still reads with what was dropped here has it for itself, and it must not grow.
      if (entries.get(manifest) !== entry) return false;
      for (const oldest of entries.keys()) {
        if (used + by <= maxBytes || oldest === manifest) break;
        forget(oldest);
      }
      if (used + by > maxBytes) return false;
      use(by);
      return true;
    };
    const entry: Entry = {
      manifest,
      root,
      openedMs: clock.monotonic(),
      nodes: new KeptNodes(grow),
      rootBytes,
    };
    forget(manifest);
    entries.set(manifest, entry);
    if (!grow(rootBytes)) entries.delete(manifest);
    for (const oldest of entries.keys()) {
      if (entries.size <= MAX_COUNT) break;
      forget(oldest);
    }
    return entry;
  };

  const openAnew = async (address: BlobAddress, signal: AbortSignal): Promise<OpenedManifest> => {
    try {
      return keep(address, await load(address, signal));
    } catch (error) {
      if (isHoldfastError(error, 'NotFound')) onGone(address);
      throw error;
    }
  };

  return {
    forget,
    open(address, signal) {
      const known = entries.get(address);
      const fresh = known !== undefined && clock.monotonic() - known.openedMs < MAX_AGE_MS;
      onLookup(fresh);
      if (!fresh) return openings.run(address, (shared) => openAnew(address, shared), signal);
      entries.delete(address);
      entries.set(address, known);
      return Promise.resolve(known);
    },
  };
}

/** The nodes of one manifest that there was room for. */
class KeptNodes implements NodeMemory {
  bytes = 0;
  readonly #nodes = new Map<BlobAddress | 'root', OpenNode>();
  readonly #grow: (by: number) => boolean;

  constructor(grow: (by: number) => boolean) {
    this.#grow = grow;
  }

  get(key: BlobAddress | 'root'): OpenNode | undefined {
    return this.#nodes.get(key);
  }

  set(key: BlobAddress | 'root', node: OpenNode, blockBytes: number): void {
    const bytes = EXPANSION * blockBytes;
    if (this.#nodes.has(key) || !this.#grow(bytes)) return;
    this.bytes += bytes;
    this.#nodes.set(key, node);
  }
}
