import { digestOf, parseAddress } from '../core/address.ts';
import { equalBytes } from '../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import type { ReceiptDesk, Refusal } from '../receipts/desk.ts';
import { decodeReceipt, type ExecutionReceipt } from '../receipts/records/records.ts';
import type { ReceiptMetrics } from '../telemetry/index.ts';

/** A page that is to be run. */
export interface ExecutionRequest {
  /** Address of the manifest of its module. */
  readonly manifest: string;
  /** Id of the provider that runs it, 1 to 255 bytes. */
  readonly provider: string;
  /** What was asked for. Only a commitment to it is written down. */
  readonly path: string;
  /** Default: the gateway's `default_domain`. */
  readonly domain?: string | undefined;
}

/** What the node that runs a page signs, with what it cost: see `signExecution`. */
export type ExecutionTerms = Omit<
  ExecutionReceipt,
  'kind' | 'cpuUs' | 'diskRead' | 'diskWritten' | 'ts' | 'pk' | 'sig'
>;

export interface BegunExecution {
  readonly terms: ExecutionTerms;
  /**
   * Takes what the node has signed: undefined once it is on the disk, or why it is not taken. `forged`: of other terms.
   * @param receipt as `encodeReceipt` gives it.
   */
  end(receipt: Uint8Array): Promise<Refusal | undefined>;
}

/** Where a program that runs pages has written down what they cost. Nothing of it is open to clients. */
export interface Executions {
  /** @throws HoldfastError `Corrupt` or `UnsupportedScheme` for an address that is none; `ConfigInvalid`, code `bad_option`. */
  begin(request: ExecutionRequest): BegunExecution;
}

interface ExecutionsOptions {
  readonly desk: Pick<ReceiptDesk, 'issue' | 'executed'>;
  readonly metrics: ReceiptMetrics;
  readonly defaultDomain: string;
}

const MAX_ID_BYTES = 255;

export function createExecutions({ desk, metrics, defaultDomain }: ExecutionsOptions): Executions {
  return {
    begin({ manifest, provider, path, domain = defaultDomain }) {
      const bytes = Buffer.byteLength(provider);
      if (bytes < 1 || bytes > MAX_ID_BYTES || Buffer.byteLength(domain) > MAX_ID_BYTES)
        throw new HoldfastError('ConfigInvalid', 'a provider has 1 to 255 bytes, and a domain no more', {
          code: 'bad_option',
        });
      const digest = digestOf(parseAddress(manifest));
      const issued = desk.issue({ manifest: digest, provider, domain, path, client: '', length: 0 });
      const { gateway, pathHash, readId } = issued;
      const terms = {
        gateway,
        manifest: digest,
        provider,
        domain,
        pathHash,
        executionId: readId.slice(0, 16),
      };
      return {
        terms,
        async end(receipt) {
          const refusal = hasTerms(receipt, terms) ? await desk.executed(receipt) : 'forged';
          if (refusal === undefined) metrics.written('execution');
          return refusal;
        },
      };
    },
  };
}

/** What is no receipt the desk itself says. */
function hasTerms(encoded: Uint8Array, terms: ExecutionTerms): boolean {
  try {
    const receipt = decodeReceipt(encoded);
    return (
      receipt.kind !== 'execution' ||
      ((['gateway', 'manifest', 'pathHash', 'executionId'] as const).every((key) =>
        equalBytes(receipt[key], terms[key]),
      ) &&
        receipt.provider === terms.provider &&
        receipt.domain === terms.domain)
    );
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return true;
    throw error;
  }
}
