export interface Declaration {
  readonly name: string;
  readonly file: { readonly path: string; readonly text: string };
  readonly nodes: readonly { readonly type: string }[];
}
export interface Entry {
  readonly name: string;
  readonly file: string;
}
export const ENTRIES: readonly Entry[];
export function exportsOf(
  entry: Pick<Entry, 'file'>,
): { readonly name: string; readonly declaration: Declaration }[];
export function mentionedIn(declaration: Declaration): Generator<Declaration>;
