/** Keys that are told; of the others only how many there are. */
const MAX_TOLD = 16;

/** Records of a table that cannot be read: they are passed over, and stay. */
export interface Poison {
  readonly table: string;
  readonly records: number;
  /** The first of them. */
  readonly keys: readonly string[];
}

export class PoisonLog implements Poison {
  readonly table: string;
  readonly keys: string[] = [];
  records = 0;

  constructor(table: string) {
    this.table = table;
  }

  /** Also for `EntriesOptions.onDamaged`. */
  readonly add = (key: string): void => {
    this.records++;
    if (this.keys.length < MAX_TOLD) this.keys.push(key);
  };
}
