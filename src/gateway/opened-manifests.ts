import type { BlobAddress } from '../core/address.ts';
import type { Clock } from '../core/clock.ts';
import { isHoldfastError } from '../core/errors.ts';
import { createSharedWork, type SharedWork } from '../core/shared-work.ts';
import type { OpenRoot } from '../manifest/root.ts';
import type { NodeMemory, OpenedManifest, OpenNode } from '../object/readable-segments.ts';

/** Keeps the manifests that reads have opened. The least recently used goes first. */
export interface OpenedManifests {
  /** @throws HoldfastError as opening does. */
  open(address: BlobAddress, signal: AbortSignal): Promise<OpenedManifest>;
  forget(address: BlobAddress): void;
}

interface OpenedManifestsOptions {
  readonly clock: Clock;
  /** The most memory for the manifests; 0 keeps none. */
  readonly maxBytes: number;
  load(address: BlobAddress, signal: AbortSignal): Promise<LoadedManifest>;
  onLookup(hit: boolean): void;
  /** Is told how many bytes the manifests take whenever that changes. */
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
/** A deleted object is served from memory no longer than this. */
const MAX_AGE_MS = 60_000;
/** A decoded node takes about twice the memory of its block, and every manifest some more. */
const EXPANSION = 2;
const OVERHEAD_BYTES = 4096;

interface Entry extends OpenedManifest {
  readonly openedMs: number;
  readonly nodes: KeptNodes;
  /** The memory of the entry without its nodes. */
  readonly rootBytes: number;
}

export const createOpenedManifests = (options: OpenedManifestsOptions): OpenedManifests =>
  new ManifestCache(options);

class ManifestCache implements OpenedManifests {
  readonly #options: OpenedManifestsOptions;
  /** In the order of use. */
  readonly #entries = new Map<BlobAddress, Entry>();
  readonly #openings: SharedWork<OpenedManifest> = createSharedWork();
  #used = 0;

  constructor(options: OpenedManifestsOptions) {
    this.#options = options;
  }

  open(address: BlobAddress, signal: AbortSignal): Promise<OpenedManifest> {
    const { clock, onLookup } = this.#options;
    const known = this.#entries.get(address);
    const fresh = known !== undefined && clock.monotonic() - known.openedMs < MAX_AGE_MS;
    onLookup(fresh);
    if (!fresh) return this.#openings.run(address, (shared) => this.#openAnew(address, shared), signal);
    this.#entries.delete(address);
    this.#entries.set(address, known);
    return Promise.resolve(known);
  }

  forget(address: BlobAddress): void {
    const entry = this.#entries.get(address);
    if (entry === undefined) return;
    this.#use(-entry.rootBytes - entry.nodes.bytes);
    this.#entries.delete(address);
  }

  async #openAnew(address: BlobAddress, signal: AbortSignal): Promise<OpenedManifest> {
    try {
      return this.#keep(address, await this.#options.load(address, signal));
    } catch (error) {
      if (isHoldfastError(error, 'NotFound')) this.#options.onGone(address);
      throw error;
    }
  }

  #keep(manifest: BlobAddress, { root, bytes }: LoadedManifest): OpenedManifest {
    const rootBytes = OVERHEAD_BYTES + EXPANSION * bytes;
    const entry: Entry = {
      manifest,
      root,
      openedMs: this.#options.clock.monotonic(),
      nodes: new KeptNodes((by) => this.#grow(entry, by)),
      rootBytes,
    };
    this.forget(manifest);
    this.#entries.set(manifest, entry);
    if (!this.#grow(entry, rootBytes)) this.#entries.delete(manifest);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_COUNT) break;
      this.forget(oldest);
    }
    return entry;
  }

  /** Makes room for more of an entry. False: there is none. */
  #grow(entry: Entry, by: number): boolean {
    const { maxBytes } = this.#options;
    // A read may still use what was dropped here. It has that for itself, and it must not grow.
    if (this.#entries.get(entry.manifest) !== entry) return false;
    for (const oldest of this.#entries.keys()) {
      if (this.#used + by <= maxBytes || oldest === entry.manifest) break;
      this.forget(oldest);
    }
    if (this.#used + by > maxBytes) return false;
    this.#use(by);
    return true;
  }

  #use(bytes: number): void {
    this.#used += bytes;
    this.#options.onUsed(this.#used);
  }
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
