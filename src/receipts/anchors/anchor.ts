/** What is anchored: the root of an epoch of receipts, or the root of a stored object. */
export interface AnchorItem {
  readonly kind: 'epoch' | 'blob';
  /**
   * `<public key of the gateway, 64 hex digits>/<number of the epoch>`, or address of the object's manifest. At most 128
   * characters without spaces.
   */
  readonly key: string;
  /** 32 bytes: digest of the root's file, or of the manifest's root node. */
  readonly digest: Uint8Array;
  /** Bytes credited, or size of the object. */
  readonly total: number;
}

/** `depth` counts what lies on it, itself included: 1 is the newest there is. `where` is for people. */
export type AnchorState =
  | { readonly state: 'absent' }
  | { readonly state: 'pending' }
  | { readonly state: 'included'; readonly depth: number; readonly where: string };

/** Something outside of the receipts that does not forget, and of which others have copies. */
export interface Anchor {
  readonly name: 'local' | 'evm';
  /** Depth from which on what is included counts. */
  readonly confirmations: number;
  /**
   * Hands items over, each once however often it is given. Back when the anchor has them, which is before they are included
   * where that takes time.
   * @throws HoldfastError `Conflict`, code `anchor_conflict`, where it has another digest under a key. The other items may
   * or may not have been taken then.
   */
  submit(items: readonly AnchorItem[], signal?: AbortSignal): Promise<void>;
  /** The state of each, in the order given. What is included can be gone again where a chain reorganises. */
  look(items: readonly AnchorItem[], signal?: AbortSignal): Promise<AnchorState[]>;
  close(): Promise<void>;
}
