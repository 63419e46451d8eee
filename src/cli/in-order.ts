/**
 * Does `work` for each item, some at the same time, and yields the outcomes in the order of the items. `work` does not
 * throw. Items that `more` no longer asks for are left out.
 */
export async function* inOrder<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
  more: () => boolean,
): AsyncGenerator<R> {
  const running: Promise<R>[] = [];
  for (const item of items) {
    if (!more()) break;
    running.push(work(item));
    if (running.length >= width) yield await running.shift()!;
  }
  while (running.length > 0) yield await running.shift()!;
}
