import { type BlobAddress, parseAddress } from '../../core/address.ts';
import { isHoldfastError } from '../../core/errors.ts';
import { HttpProblem } from './problem.ts';

/** @throws HttpProblem 400 for what is no address of ours. */
export function addressFrom(text: string | undefined): BlobAddress {
  try {
    return parseAddress(text ?? '');
  } catch (error) {
    const name = isHoldfastError(error, 'UnsupportedScheme') ? 'UnsupportedScheme' : 'BadRequest';
    throw new HttpProblem(400, name, 'an address is b3: and 64 lower-case hex digits', { cause: error });
  }
}

/** Bytes under an address never change, so their address is their strong entity tag. */
export const etagOf = (address: BlobAddress): string => `"${address}"`;
