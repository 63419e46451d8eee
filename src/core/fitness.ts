/** Told of an accelerated implementation that is there, and is not used for what it computed or did. */
export type OnUnfit = (what: string, implementation: string, why: string) => void;

export const WRONG_BYTES = 'gave wrong bytes';
