import { HoldfastError } from '../../core/errors.ts';

/** What a manifest is read with: see docs/format/manifest.md. */
const MAX_LENGTH = 256;

/** @throws HoldfastError `ConfigInvalid` (`bad_content_type`): a manifest that held it could not be read again. */
export function checkContentType(type: string): string {
  const problem =
    type.length > MAX_LENGTH
      ? `has ${type.length} characters, at most ${MAX_LENGTH} are allowed`
      : /\p{Cc}/u.test(type)
        ? 'has control characters'
        : undefined;
  if (problem === undefined) return type;
  throw new HoldfastError('ConfigInvalid', `the content type ${problem}`, {
    code: 'bad_content_type',
    hint: 'Give a media type such as text/plain or image/png. Nothing was stored.',
  });
}
