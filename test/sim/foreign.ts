import { equalBytes } from '../../src/core/bytes.ts';
import { FOREIGN_KEYS, Home, SimProcess, type Stage } from './process.ts';

const NAMES = ['one', 'two'];

/** A vault with another key at the same places: nobody but itself may take anything of it away. */
export class ForeignVault {
  readonly #stage: Stage;
  readonly #home = new Home('foreign', { keys: FOREIGN_KEYS });
  readonly #contents = new Map<string, Uint8Array>();
  /** Of its blobs. */
  addresses: ReadonlySet<string> = new Set();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  async begin(): Promise<void> {
    const { providers, streams } = this.#stage;
    const process = await SimProcess.start(this.#stage, this.#home);
    for (const name of NAMES) {
      const content = streams.checks.bytes(streams.checks.between(10, 8_000));
      this.#contents.set(name, content);
      await process.vault.putObject(content, { name });
    }
    await process.close();
    this.addresses = new Set(providers.flatMap(({ blobs }) => [...blobs.keys()]));
  }

  /** It is as it was left. */
  async check(): Promise<void> {
    const process = await SimProcess.start(this.#stage, this.#home);
    for (const [name, content] of this.#contents) {
      const found = await process.vault.getObject(name).then((reader) => reader.bytes());
      if (!equalBytes(found, content)) this.#stage.violation(`another vault's ${name} has another content`);
    }
    await process.close();
  }
}
