import { join } from 'node:path';
import { wasmBlake3 as blake3 } from '../src/core/b3/wasm.ts';
import { equalBytes, toHex } from '../src/core/bytes.ts';
import { systemClock } from '../src/core/clock.ts';
import { createLevelEngine } from '../src/engine/index.ts';
import { auditEpoch } from '../src/receipts/audit.ts';
import { loadRoot } from '../src/receipts/close.ts';
import { createOpensslEd25519 } from '../src/receipts/ed25519/openssl.ts';
import { MAX_FILE_BYTES, scanFile } from '../src/receipts/log/batch.ts';
import { diskFiles } from '../src/receipts/log/disk.ts';
import { filePath, finalPath, listEpochs, listFiles, rootPath } from '../src/receipts/log/folder.ts';
import type { LedgerEntry } from '../src/receipts/settlement/entries.ts';
import { decodeFinal } from '../src/receipts/settlement/final.ts';
import { Ledger } from '../src/receipts/settlement/ledger.ts';

export const GATEWAYS = ['gw-a', 'gw-b'] as const;
const MAX_STATEMENT = 1024 ** 2;

export interface Books {
  readonly roots: number;
  readonly finals: number;
  readonly credits: number;
  readonly balances: ReadonlyMap<string, bigint>;
}

/** What was seen of a home, which must not change any more. */
export class ReceiptsJudge {
  readonly #home: string;
  readonly #seen = new Map<string, Uint8Array>();

  constructor(home: string) {
    this.#home = home;
  }

  /** After any kill. @throws Error that says what is wrong. */
  async look(): Promise<Books> {
    const { entries, balances } = await this.#ledger();
    const sum = [...balances.values()].reduce((all, one) => all + one, 0n);
    if (sum !== 0n) throw new Error(`debits and credits differ by ${sum}`);
    const credits = entries.filter(({ id }) => id.startsWith('read/'));
    if (new Set(credits.map(({ id }) => id)).size < credits.length)
      throw new Error('an hour is credited twice');
    const digests = new Map(credits.map(({ id, digest }) => [id, digest]));
    const [counts, earned] = [{ roots: 0, finals: 0 }, new Map<string, bigint>()];
    for (const name of GATEWAYS) {
      const folder = join(this.#home, name);
      const { roots, finals } = await listEpochs(diskFiles, folder);
      counts.roots += roots.length;
      counts.finals += finals.length;
      for (const epoch of roots) await this.#lookAt(folder, epoch, finals.includes(epoch), digests, earned);
      const without = finals.find((epoch) => !roots.includes(epoch));
      if (without !== undefined) throw new Error(`${name}: a final of hour ${without}, and no root`);
    }
    if (digests.size > 0) throw new Error(`credited without a root: ${[...digests.keys()].join(' ')}`);
    for (const [provider, bytes] of earned) {
      const has = balances.get(`provider/${provider}`) ?? 0n;
      if (has !== bytes) throw new Error(`${provider} has ${has}, and its credited hours come to ${bytes}`);
    }
    return { ...counts, credits: credits.length, balances };
  }

  /** After a process that came to its end. @param taken ids of what was acknowledged, by gateway. */
  async lookAtEnd(taken: readonly ReadonlySet<string>[]): Promise<Books> {
    const books = await this.look();
    const { roots, finals, credits } = books;
    if (roots !== finals || roots !== credits)
      throw new Error(`${roots} roots, ${finals} finals and ${credits} credits`);
    for (const [i, name] of GATEWAYS.entries()) {
      const ids = await this.#idsOf(join(this.#home, name));
      if (new Set(ids).size < ids.length) throw new Error(`${name}: a read is written down twice`);
      const lost = [...taken[i]!].filter((id) => !ids.includes(id));
      if (lost.length > 0) throw new Error(`${name}: ${lost.length} acknowledged reads are lost`);
    }
    return books;
  }

  async #ledger(): Promise<{ entries: LedgerEntry[]; balances: ReadonlyMap<string, bigint> }> {
    const location = join(this.#home, 'engine');
    const engine = createLevelEngine({ location, clock: systemClock, lockWaitMs: 30_000, idleReleaseMs: 50 });
    try {
      const ledger = new Ledger({ engine, blake3, clock: systemClock });
      const { balances } = await ledger.check();
      const entries: LedgerEntry[] = [];
      for await (const entry of ledger.entries()) entries.push(entry);
      return { entries, balances };
    } finally {
      await engine.close();
    }
  }

  async #lookAt(
    folder: string,
    epoch: number,
    hasFinal: boolean,
    digests: Map<string, string>,
    earned: Map<string, bigint>,
  ): Promise<void> {
    const { bytes, root } = await loadRoot({ files: diskFiles, folder }, epoch);
    this.#same(rootPath(folder, epoch), bytes);
    const id = `read/${toHex(root.gateway)}/${epoch}`;
    const digest = digests.get(id);
    digests.delete(id);
    if (digest !== undefined && !hasFinal) throw new Error(`hour ${epoch} is credited without a final`);
    if (hasFinal) {
      const path = finalPath(folder, epoch);
      const final = await diskFiles.read(path, MAX_STATEMENT);
      this.#same(path, final!);
      if (!equalBytes(decodeFinal(final!).digest, blake3.hash(bytes)))
        throw new Error(`the final of hour ${epoch} is of another root`);
    }
    if (digest === undefined) return;
    if (digest !== toHex(blake3.hash(bytes))) throw new Error(`hour ${epoch} is credited by another root`);
    for (const { provider, credited } of root.providers)
      earned.set(provider, (earned.get(provider) ?? 0n) + BigInt(credited));
  }

  #same(path: string, bytes: Uint8Array): void {
    const before = this.#seen.get(path);
    if (before !== undefined && !equalBytes(before, bytes)) throw new Error(`${path} has changed`);
    this.#seen.set(path, bytes);
  }

  async #idsOf(folder: string): Promise<string[]> {
    const ids: string[] = [];
    const { folders, roots } = await listEpochs(diskFiles, folder);
    for (const epoch of folders) {
      const { count } = await listFiles(diskFiles, folder, epoch);
      for (let seq = 0; seq < count; seq++) {
        const bytes = await diskFiles.read(filePath(folder, epoch, seq), MAX_FILE_BYTES);
        scanFile(blake3, bytes!, ({ receipt }) => {
          if (receipt.kind === 'read') ids.push(toHex(receipt.readId));
        });
      }
    }
    const ed25519 = createOpensslEd25519();
    for (const epoch of roots) {
      const { difference } = await auditEpoch({ files: diskFiles, folder, blake3, ed25519 }, epoch);
      if (difference !== undefined)
        throw new Error(`hour ${epoch} is not as its root says: ${difference.why}`);
    }
    return ids;
  }
}
