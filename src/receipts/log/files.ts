/** What receipts need of a file system. What fails is a HoldfastError. An answer may not come: whoever waits for one has a deadline. */
export interface ReceiptFiles {
  /** Names in a folder; none where there is no folder. */
  list(folder: string): Promise<readonly string[]>;
  /** The whole of a file; undefined where there is none. A longer one fails. */
  read(path: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /** Opens a file to append to it, made where there is none. When it is back, the file stays there over a crash. */
  open(path: string): Promise<AppendFile>;
  /** A file that is there whole or not at all, over a crash too. @returns false where there is one already. */
  place(path: string, bytes: Uint8Array): Promise<boolean>;
}

export interface AppendFile {
  size(): Promise<number>;
  append(bytes: Uint8Array): Promise<void>;
  /** When it is back, what was appended stays over a crash. */
  flush(): Promise<void>;
  truncate(size: number): Promise<void>;
  /** Whether the path that it was opened at still stands for it. */
  isNamed(): Promise<boolean>;
  close(): Promise<void>;
}
