export type { Anchor, AnchorItem, AnchorState } from './receipts/anchors/anchor.ts';
export type { AuditReport, Difference } from './receipts/audit.ts';
export type { ReceiptDesk, Refusal } from './receipts/desk.ts';
export type { Signer } from './receipts/ed25519/ed25519.ts';
export type { ProofVerdict } from './receipts/inspect.ts';
export {
  type Consistency,
  type Inclusion,
  proveConsistency,
  proveInclusion,
  verifyConsistency,
  verifyInclusion,
} from './receipts/merkle/proofs.ts';
export { rootOf as treeRoot, type TreeHash, treeHash } from './receipts/merkle/tree.ts';
export type { ReceiptReader } from './receipts/reader.ts';
export type { AckOutcome, ReceiptFetch } from './receipts/receipt-fetch.ts';
export type { ReadRequest } from './receipts/records/grants.ts';
export {
  type Denials,
  decodeGrant,
  decodeReceipt,
  type ExecutionReceipt,
  encodeGrant,
  encodeReceipt,
  type ReadAck,
  type ReadGrant,
  type Receipt,
  signExecution,
} from './receipts/records/records.ts';
export {
  decodeRoot,
  type EpochRoot,
  type EpochTotals,
  type PreviousRoot,
  type ProviderTotals,
} from './receipts/records/root.ts';
export {
  type AnchorLogReport,
  type AnchorProofReport,
  proveAnchored,
  verifyAnchorLog,
  verifyAnchorProof,
} from './vault/check-anchor.ts';
export { type OpenAnchorOptions, openAnchor } from './vault/open-anchor.ts';
export {
  type ChainOptions,
  deployAnchor,
  type OpenChainAnchorOptions,
  openChainAnchor,
} from './vault/open-chain-anchor.ts';
export {
  auditReceipts,
  type CheckOptions,
  type OpenReceiptsOptions,
  openReceiptFetch,
  openReceiptReader,
  openReceipts,
  type ReceiptFetchOptions,
  verifyReceiptProof,
} from './vault/open-receipts.ts';
