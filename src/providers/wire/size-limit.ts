import type { Clock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { AdapterCapabilities } from '../adapter.ts';

/** What a server takes at most, which it may say only when it refuses. */
export interface SizeLimit {
  /** As far as is known now: with the limit as it was learned. */
  readonly capabilities: AdapterCapabilities;
  /** Sends a blob and learns from what comes of it. @throws RangeNotSatisfiable, code `blob_too_large`, over the limit. */
  sending<T>(size: number, send: () => Promise<T>): Promise<T>;
}

/** Common servers take as much in their first configuration: nginx, and our own node from strangers. */
export const USUAL_LIMIT: number = 1024 * 1024;

/** A limit is believed for so long: servers are set up anew, and one may have refused everything for a while. */
const BELIEVED_MS = 600_000;

/** @param known what the adapter states for itself, before anything was sent. */
export function createSizeLimit(known: AdapterCapabilities, clock: Clock): SizeLimit {
  let learned = { max: Number.POSITIVE_INFINITY, untilMs: 0 };
  let sure = known.sureBlobBytes ?? known.maxBlobBytes;
  const maxNow = (): number =>
    clock.monotonic() < learned.untilMs ? Math.min(learned.max, known.maxBlobBytes) : known.maxBlobBytes;
  return {
    capabilities: {
      ...known,
      get maxBlobBytes() {
        return maxNow();
      },
      get sureBlobBytes() {
        return Math.min(sure, maxNow());
      },
    },
    async sending(size, send) {
      try {
        const answer = await send();
        sure = Math.max(sure, size);
        return answer;
      } catch (error) {
        if (!(error instanceof HoldfastError) || error.context.status !== 413) throw error;
        const stated = error.context.maxBodyBytes;
        // A limit that is not told is looked for by halves.
        const below = typeof stated === 'number' && stated < size ? stated : Math.floor(size / 2);
        learned = { max: Math.min(maxNow(), below), untilMs: clock.monotonic() + BELIEVED_MS };
        sure = Math.min(sure, learned.max);
        throw tooLarge(size, learned.max, error);
      }
    },
  };
}

function tooLarge(size: number, cap: number, cause: HoldfastError): HoldfastError {
  return new HoldfastError('RangeNotSatisfiable', `the server takes no ${size} bytes at once`, {
    code: 'blob_too_large',
    hint: 'Raise the limit of this server: max_body_bytes of a node, or max_foreign_body_bytes where it has no token; client_max_body_size of nginx; LimitRequestBody of Apache.',
    context: { ...cause.context, size, cap },
    cause,
  });
}
