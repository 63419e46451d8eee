import type { AbortOptions } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { entryOf } from '../../core/maps.ts';
import {
  type DamageNote,
  damageKey,
  damageOf,
  type FoundDamage,
  forgetNotes,
  isNodeNote,
  noteDamage,
} from '../../records/damage.ts';
import type { UpkeepContext } from '../context.ts';
import type { BytePace, Lane, Lanes } from './lanes.ts';
import { type CopyVerdict, checkCopy, lackingCopies } from './node-check.ts';
import { checkPack, type PackInUse, type PackVerdict, packsInUse } from './pack-check.ts';
import { stillDamaged } from './standing.ts';
import { isIn, noCounts, type ScrubCounts, type ScrubState, type Subset } from './state.ts';
import type { NodeSeen, WalkedSegment } from './walk.ts';

/** What is checked at once, between two times that it is written down how far the scrub is. */
const MAX_SEGMENTS = 16;
const MAX_BYTES: number = 256 * 1024 ** 2;

interface PackTask {
  readonly kind: 'pack';
  readonly provider: string;
  readonly walked: WalkedSegment;
  readonly its: PackInUse;
  /** Undefined: the provider gave no answer. */
  verdict: PackVerdict | undefined;
  elapsedMs: number;
}

interface CopyTask {
  readonly kind: 'copy';
  readonly provider: string;
  readonly walked: WalkedSegment;
  readonly node: NodeSeen;
  verdict: CopyVerdict;
}

const keyAt = (
  { segment }: Pick<WalkedSegment, 'segment'>,
  { pack: { provider, address: pack } }: PackInUse,
): Parameters<typeof damageKey>[0] => ({ segment, provider, pack });

const copyAt = ({ address }: NodeSeen, provider: string): Parameters<typeof damageKey>[0] => ({
  segment: address,
  provider,
  pack: address,
});

const lengthOf = (task: PackTask | CopyTask): number =>
  task.kind === 'pack' ? task.its.pack.length : task.node.length;

/** Some segments, with what leads to them. */
export class ScrubBatch {
  readonly #context: UpkeepContext;
  readonly #subset: Subset;
  readonly #segments: { readonly walked: WalkedSegment; readonly storedMs: number }[] = [];
  readonly #packs: PackTask[] = [];
  readonly #copies: CopyTask[] = [];
  readonly #unheard: { readonly provider: string; readonly why: string }[] = [];
  /** Keys of what there should be, looked at or not. */
  readonly #inUse = new Set<string>();
  #bytes = 0;

  constructor(context: UpkeepContext, subset: Subset) {
    this.#context = context;
    this.#subset = subset;
  }

  get isFull(): boolean {
    return this.#segments.length >= MAX_SEGMENTS || this.#bytes >= MAX_BYTES;
  }

  add(walked: WalkedSegment, storedMs: number): void {
    this.#segments.push({ walked, storedMs });
    for (const node of walked.nodes) {
      const isOurs = isIn(this.#subset, node.address);
      for (const { id: provider } of this.#context.directory.all()) {
        this.#inUse.add(damageKey(copyAt(node, provider)));
        if (isOurs) this.#copies.push({ kind: 'copy', provider, walked, node, verdict: 'unheard' });
      }
    }
    for (const its of walked.view === undefined ? [] : packsInUse(walked.view)) {
      const { provider, address, length } = its.pack;
      this.#inUse.add(damageKey(keyAt(walked, its)));
      if (!isIn(this.#subset, address)) continue;
      this.#packs.push({ kind: 'pack', provider, walked, its, verdict: undefined, elapsedMs: 0 });
      this.#bytes += length;
    }
  }

  /** Reads it all. @throws HoldfastError `Aborted`. */
  async check(lanes: Lanes, pace: BytePace, options: AbortOptions): Promise<void> {
    await lanes.run<PackTask | CopyTask>([...this.#copies, ...this.#packs], {
      before: (task) => pace.take(lengthOf(task), options),
      work: (task, lane) => (task.kind === 'pack' ? this.#readPack(task, lane) : this.#readCopy(task, lane)),
      unheard: ({ provider }, why) => this.#unheard.push({ provider, why }),
    });
  }

  /** Notes what is wrong, takes out of the notes what is not, and adds it all to the state. */
  async settle(state: ScrubState, why: Map<string, string>, options: AbortOptions): Promise<void> {
    const counts = (provider: string): ScrubCounts => entryOf(state.providers, provider, noCounts);
    for (const { provider, why: because } of this.#unheard) {
      counts(provider).unheard++;
      why.set(provider, because);
    }
    for (const { provider, its, verdict } of this.#packs) {
      if (verdict === undefined) continue;
      counts(provider).packs++;
      counts(provider).bytes += its.pack.length;
    }
    const standing = await this.#standing(options);
    this.#blame(standing);
    for (const found of standing) {
      if (isNodeNote(found)) state.nodes[found.problem]++;
      else {
        counts(found.provider)[found.problem]++;
        counts(found.provider).rotten += found.problem === 'corrupt' ? this.#shardsOf(found) : 0;
      }
    }
    await forgetNotes(this.#context, await this.#mended(standing, options), options);
    state.unnoted += (await noteDamage(this.#context, standing, { ...options, whole: true })).unnoted;
    state.nodes.checked += new Set(this.#copies.map(({ node }) => node.address)).size;
    state.segments += this.#segments.length;
    const last = this.#segments.at(-1);
    if (last === undefined) return;
    const { manifest, ordinal } = last.walked;
    state.at = { storedMs: last.storedMs, manifest, segments: ordinal + 1 };
  }

  /** Of who has not what it should have: what was removed meanwhile says nothing against anybody. */
  #blame(standing: readonly FoundDamage[]): void {
    const wrong = new Set(standing.map(damageKey));
    for (const { provider, walked, its, verdict, elapsedMs } of this.#packs) {
      if (verdict?.problem === undefined || !wrong.has(damageKey(keyAt(walked, its)))) continue;
      const transfer = { operation: 'fetch', bytes: its.pack.length, elapsedMs } as const;
      this.#context.directory.report(provider, { ...transfer, error: verdict.error });
    }
  }

  async #readPack(task: PackTask, lane: Lane): Promise<void> {
    const { clock, directory } = this.#context;
    const startedMs = clock.monotonic();
    const transfer = { operation: 'fetch', bytes: task.its.pack.length } as const;
    try {
      task.verdict = await checkPack(this.#context, task.walked.view!, task.its, lane);
      task.elapsedMs = clock.monotonic() - startedMs;
      if (task.verdict.problem === undefined)
        directory.report(task.provider, { ...transfer, elapsedMs: task.elapsedMs });
    } catch (error) {
      directory.report(task.provider, { ...transfer, elapsedMs: clock.monotonic() - startedMs, error });
      throw error;
    }
  }

  async #readCopy(task: CopyTask, lane: Lane): Promise<void> {
    task.verdict = await checkCopy(this.#context, task.node.address, lane);
  }

  async #standing(options: AbortOptions): Promise<FoundDamage[]> {
    const byManifest = new Map<BlobAddress, FoundDamage[]>();
    for (const found of [...this.#wrongPacks(), ...this.#wrongCopies()])
      entryOf(byManifest, found.manifest, () => []).push(found);
    const views = new Map(this.#segments.map(({ walked }) => [walked.segment, walked.view]));
    const standing: FoundDamage[] = [];
    for (const [manifest, findings] of byManifest) {
      const left = await stillDamaged(this.#context, manifest, findings, (at) => views.get(at), options);
      standing.push(...left);
    }
    return standing;
  }

  *#wrongPacks(): Generator<FoundDamage> {
    for (const { walked, its, provider, verdict } of this.#packs) {
      if (verdict?.problem === undefined) continue;
      const { manifest, segment } = walked;
      const at = { segment, manifest, provider, pack: its.pack.address };
      yield { ...at, problem: verdict.problem, shards: verdict.shards, foundBy: 'scrub' };
    }
  }

  *#wrongCopies(): Generator<FoundDamage> {
    for (const [node, copies] of this.#copiesByNode()) {
      const { manifest, record } = copies[0]!.walked;
      const verdicts = new Map(copies.map(({ provider, verdict }) => [provider, verdict]));
      const lacking = new Set(lackingCopies(this.#context, record, node, verdicts));
      for (const { provider, verdict } of copies) {
        if (verdict !== 'corrupt' && !lacking.has(provider)) continue;
        const problem = verdict === 'corrupt' ? verdict : 'missing';
        yield { segment: node, manifest, provider, pack: node, problem, foundBy: 'scrub' };
      }
    }
  }

  #copiesByNode(): Map<BlobAddress, CopyTask[]> {
    const byNode = new Map<BlobAddress, CopyTask[]>();
    for (const copy of this.#copies) entryOf(byNode, copy.node.address, () => []).push(copy);
    return byNode;
  }

  #shardsOf(found: FoundDamage): number {
    const task = this.#packs.find(({ walked, its }) => damageKey(keyAt(walked, its)) === damageKey(found));
    return found.shards?.length ?? task?.its.shards.length ?? 0;
  }

  /** Notes that say what is no longer so: of what was found all right now, and of where no shard ought to be any more. */
  async #mended(standing: readonly FoundDamage[], options: AbortOptions): Promise<DamageNote[]> {
    const wrong = new Set(standing.map(damageKey));
    /** What was looked at, and whether its provider gave an answer. */
    const heard = new Map<string, boolean>();
    for (const { node, provider, verdict } of this.#copies)
      heard.set(damageKey(copyAt(node, provider)), verdict !== 'unheard');
    for (const { walked, its, verdict } of this.#packs)
      heard.set(damageKey(keyAt(walked, its)), verdict !== undefined);
    const segments = new Set([
      ...this.#copies.map(({ node }) => node.address),
      ...this.#packs.map(({ walked }) => walked.segment),
    ]);
    const over: DamageNote[] = [];
    for (const segment of segments) {
      for (const note of await damageOf(this.#context, segment, options)) {
        const key = damageKey(note);
        const isOver = heard.get(key) ?? !this.#inUse.has(key);
        if (isOver && !wrong.has(key)) over.push(note);
      }
    }
    return over;
  }
}
