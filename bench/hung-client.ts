/** Operations of the library in a process of its own, each timed: `hung-client.js <HungJob as JSON>`. */
import type { Vault } from '../src/vault/vault.ts';
import { generated } from './generated.ts';

export interface HungJob {
  readonly what: 'put' | 'get' | 'stat' | 'rm' | 'verify' | 'recover';
  readonly home: string;
  readonly config: string;
  /** One operation for each, one after the other. */
  readonly names: readonly string[];
  /** Of what a put stores. */
  readonly bytes: number;
}

/** What a client prints, as JSON. */
export interface HungReport {
  /** By operation. */
  readonly ms: readonly number[];
  /** When the last one ended, in milliseconds since 1970: what comes after it is the process's lingering. */
  readonly lastMs: number;
  /** What was not as it should be, e.g. what a hung provider kept from being confirmed. */
  readonly remarks: readonly string[];
}

const LIBRARY = new URL('../../dist/index.js', import.meta.url).href;

const WORK: Record<HungJob['what'], (vault: Vault, name: string, bytes: number) => Promise<string>> = {
  async put(vault, name, bytes) {
    const { certificate } = await vault.putObject(generated(bytes), { name });
    return `survives ${certificate.tolerates}`;
  },
  async get(vault, name) {
    let bytes = 0;
    for await (const piece of (await vault.getObject(name)).borrow()) bytes += piece.length;
    return `${bytes} bytes`;
  },
  stat: async (vault, name) => `${(await vault.statObject(name)).size} bytes`,
  async rm(vault, name) {
    return (await vault.deleteObject(name)).queued > 0 ? 'some queued' : 'all deleted';
  },
  async verify(vault, name) {
    const { readable, certificate } = await vault.verifyObject(name);
    return `${readable ? 'readable' : 'NOT readable'}, survives ${certificate.live.tolerates}`;
  },
  async recover(vault) {
    const { names, lost } = await vault.recover();
    return `${names} names, ${lost.length} lost`;
  },
};

async function main({ what, home, config, names, bytes }: HungJob): Promise<void> {
  const { openVault } = (await import(LIBRARY)) as typeof import('../src/index.ts');
  const vault = await openVault({ home, config });
  const ms: number[] = [];
  const remarks = new Set<string>();
  const timed = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
    const started = performance.now();
    const value = await work();
    return [value, performance.now() - started];
  };
  for (const name of names) {
    const [remark, took] = await timed(() => WORK[what](vault, name, bytes));
    remarks.add(remark);
    ms.push(took);
  }
  const report: HungReport = { ms, lastMs: Date.now(), remarks: [...remarks] };
  await vault.close();
  process.stdout.write(JSON.stringify(report));
}

await main(JSON.parse(process.argv[2]!) as HungJob);
