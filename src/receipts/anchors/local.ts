import { join } from 'node:path';
import { abortable, throwIfAborted } from '../../core/abort.ts';
import { equalBytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { KeyedMutex } from '../../engine/keyed-mutex.ts';
import type { Anchor, AnchorItem, AnchorState } from './anchor.ts';
import { encodeEntry } from './entry.ts';
import { damaged, findIn, type LoadedLog, type LogPlace, loadLog, logTree, MAX_BUNDLE } from './log.ts';
import type { LogMemory } from './log-memory.ts';
import { MAX_NOTE, type NoteSigner, openCheckpoint, signCheckpoint } from './note.ts';
import { encodeBundle, pathOf, type Tile, tilePath, WIDTH } from './tiles.ts';

/** 256 MiB of memory for the index. */
const MAX_ENTRIES = 16_777_216;

export interface LocalAnchorOptions extends LogPlace {
  readonly key: NoteSigner;
  readonly clock: Pick<Clock, 'timer'>;
  /** Knows what the log was, so that an older copy of it is not written on. Undefined: nobody does. */
  readonly memory?: LogMemory | undefined;
  /** Keeps other processes from the log, waiting for them a little. @returns lets go of it. */
  readonly hold: (signal?: AbortSignal) => Promise<() => Promise<void>>;
}

/** Between calls the log is let go of, so that commands get at it while a service runs. */
const IDLE_MS = 1_000;

/** A log in a folder of our own: docs/format/anchor.md. One process at a time writes to it. */
export async function openLocalAnchor(options: LocalAnchorOptions): Promise<Anchor> {
  const log = new LocalLog(options);
  try {
    await log.look([]);
  } catch (error) {
    await log.close();
    throw error;
  }
  return log;
}

class LocalLog implements Anchor {
  readonly name = 'local';
  readonly confirmations = 1;
  readonly #place: LocalAnchorOptions;
  readonly #turns = new KeyedMutex();
  /** None after a write that failed: what is on the disk then only a look at it tells. */
  #loaded: LoadedLog | undefined;
  /** The checkpoint's file as it was last: whoever wrote to the log meanwhile has changed it. */
  #note: Uint8Array | undefined;
  #release: (() => Promise<void>) | undefined;
  #keepLonger: (() => void) | undefined;
  #isClosed = false;

  constructor(place: LocalAnchorOptions) {
    this.#place = place;
  }

  async submit(items: readonly AnchorItem[], signal?: AbortSignal): Promise<void> {
    const given = items.map((item) => ({ item, bytes: encodeEntry(item) }));
    await this.#turn(signal, async () => {
      const log = await this.#load();
      const fresh = new Map<string, { item: AnchorItem; bytes: Uint8Array }>();
      for (const { item, bytes } of given) {
        const id = `${item.kind} ${item.key}`;
        const before = fresh.get(id)?.item ?? (await findIn(this.#place, log, item))?.item;
        if (before === undefined) fresh.set(id, { item, bytes });
        else if (!equalBytes(before.digest, item.digest)) throw conflict(item);
      }
      if (log.tree.size + fresh.size > MAX_ENTRIES) throw full();
      if (fresh.size > 0) await this.#append(log, [...fresh.values()]);
    });
  }

  async look(items: readonly AnchorItem[], signal?: AbortSignal): Promise<AnchorState[]> {
    return this.#turn(signal, async () => {
      const log = await this.#load();
      const states: AnchorState[] = [];
      for (const item of items) {
        const found = await findIn(this.#place, log, item);
        states.push(
          found !== undefined && equalBytes(found.item.digest, item.digest)
            ? { state: 'included', depth: 1, where: `entry ${found.index}` }
            : { state: 'absent' },
        );
      }
      return states;
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turns.run('log', () => this.#letGo());
  }

  #turn<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const held = async (): Promise<T> => {
      throwIfAborted(signal, 'anchor');
      if (this.#isClosed) throw new HoldfastError('Unavailable', 'the log is closed', { code: 'closed' });
      try {
        await this.#hold(signal);
        return await work();
      } finally {
        const letGo = (): Promise<void> => this.#turns.run('log', () => this.#letGo()).catch(() => undefined);
        this.#keepLonger = this.#place.clock.timer(IDLE_MS, () => void letGo(), { idle: true });
      }
    };
    return abortable(this.#turns.run('log', held, signal), signal);
  }

  async #hold(signal: AbortSignal | undefined): Promise<void> {
    this.#keepLonger?.();
    if (this.#release !== undefined) return;
    this.#release = await this.#place.hold(signal);
    // Others may have written to it: what is known of it counts again once its checkpoint says that they have not.
    const known = this.#loaded;
    this.#loaded = undefined;
    const note = await this.#readNote();
    if (note !== undefined && this.#note !== undefined && equalBytes(note, this.#note)) this.#loaded = known;
  }

  async #letGo(): Promise<void> {
    this.#keepLonger?.();
    const release = this.#release;
    this.#release = undefined;
    await release?.();
  }

  #readNote(): Promise<Uint8Array | undefined> {
    return this.#place.files.read(join(this.#place.folder, 'checkpoint'), MAX_NOTE);
  }

  async #load(): Promise<LoadedLog> {
    if (this.#loaded !== undefined) return this.#loaded;
    const { memory, key } = this.#place;
    const seen = await memory?.recall(key);
    const log = await loadLog(this.#place, seen);
    if (log.tree.size > 0) await this.#publish(log, log.missing, log.checkpoint?.size);
    if (log.tree.size > (seen?.size ?? 0)) await this.#remember(log);
    this.#note = await this.#readNote();
    this.#loaded = log;
    return log;
  }

  /** Entries first, which are what the log is; then what follows of them. */
  async #append(log: LoadedLog, fresh: readonly { item: AnchorItem; bytes: Uint8Array }[]): Promise<void> {
    this.#loaded = undefined;
    const { tree, index } = log;
    const before = tree.size;
    const full: Tile[] = [];
    let open = log.open;
    for (let from = 0; from < fresh.length; ) {
      const group = fresh.slice(from, from + WIDTH - open.length);
      open = [...open, ...group.map(({ bytes }) => bytes)];
      const width = open.length === WIDTH ? undefined : open.length;
      await this.#write(tilePath('entries', Math.floor(tree.size / WIDTH), width), encodeBundle(open));
      for (const { item, bytes } of group) {
        index.add(item, tree.size);
        full.push(...tree.append(logTree.leaf(bytes)));
      }
      if (width === undefined) open = [];
      from += group.length;
    }
    const tiles = [...full, ...tree.partial()];
    await this.#publish(log, tiles, before);
    this.#loaded = { ...log, open };
  }

  async #publish(log: LoadedLog, tiles: readonly Tile[], before = 0): Promise<void> {
    const { folder, files, key } = this.#place;
    const { size } = log.tree;
    for (const tile of tiles) await this.#write(pathOf(tile), tile.bytes);
    if (size > before) {
      await this.#keepCosigned();
      const note = signCheckpoint({ origin: key.name, size, root: log.tree.root() }, key);
      await files.replace(join(folder, 'checkpoint'), note);
      this.#note = note;
      await this.#remember(log);
    }
    // A reader of an older checkpoint takes the full tile in place of these.
    for (const { level, index, width } of tiles) {
      if (width < WIDTH) continue;
      await files.removeFolder(join(folder, `${tilePath(level, index)}.p`));
      if (level === 0) await files.removeFolder(join(folder, `${tilePath('entries', index)}.p`));
    }
  }

  async #remember({ tree }: LoadedLog): Promise<void> {
    await this.#place.memory?.note(this.#place.key, { size: tree.size, root: tree.root() });
  }

  /** What witnesses signed is worth keeping: the next checkpoint is without it. */
  async #keepCosigned(): Promise<void> {
    const { folder, files, key, ed25519 } = this.#place;
    const bytes = await this.#readNote();
    if (bytes === undefined) return;
    const { size, cosignatures } = openCheckpoint(bytes, key, ed25519);
    if (cosignatures > 0) await files.place(join(folder, 'cosigned', String(size)), bytes);
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const { folder, files } = this.#place;
    const whole = join(folder, path);
    if (await files.place(whole, bytes)) return;
    const found = await files.read(whole, MAX_BUNDLE);
    if (found === undefined || !equalBytes(found, bytes)) throw damaged(whole, 'it is not what was written');
  }
}

const conflict = ({ kind, key }: AnchorItem): HoldfastError =>
  new HoldfastError('Conflict', `the anchor has another digest of ${kind} ${key}`, {
    code: 'anchor_conflict',
    hint: 'One of the two is wrong: compare them before anything else is anchored.',
  });

const full = (): HoldfastError =>
  new HoldfastError('QuotaExceeded', 'the log has as many entries as it can have', {
    code: 'anchor_full',
    hint: 'Begin another log in another folder, and keep this one.',
  });
