import { expect, it } from 'vitest';

interface Around {
  readonly number: number;
  readonly newer: { readonly label: string; readonly href: string } | undefined;
  readonly older: string | undefined;
}

// What a browser runs has its types in comments, which are checked with the page.
const { pagesAround } = (await import(new URL('../../web/objects.js', import.meta.url).href)) as {
  pagesAround(query: URLSearchParams, next: string | undefined): Around;
};

const queryOf = (href: string): URLSearchParams => new URLSearchParams(href.split('?')[1]);

/** What one sees who clicks so often on "Older", and the query that it took. */
function after(clicks: number): { readonly query: URLSearchParams; readonly around: Around } {
  let query = queryOf('#/objects?most=1');
  for (let i = 1; i <= clicks; i++) query = queryOf(pagesAround(query, `k${i}`).older!);
  return { query, around: pagesAround(query, undefined) };
}

it('counts pages also where there are more than one can come back from', () => {
  for (const clicks of [0, 1, 2, 19, 20, 21, 45]) expect(after(clicks).around.number).toBe(clicks + 1);
});

it('goes back page by page, and says so where it can only go to the newest', () => {
  let { query } = after(45);
  const numbers: number[] = [];
  let labels: (string | undefined)[] = [];
  for (let clicks = 0; clicks < 60; clicks++) {
    const { number, newer } = pagesAround(query, undefined);
    numbers.push(number);
    labels = [...labels, newer?.label];
    if (newer === undefined) break;
    query = queryOf(newer.href);
    expect(query.get('most')).toBe('1');
  }
  expect(numbers).toEqual([...Array.from({ length: 20 }, (_, i) => 46 - i), 1]);
  expect(labels.slice(-3)).toEqual(['← Newer', '⇤ Newest', undefined]);
});

it('takes no number from a link that nobody made here', () => {
  for (const page of ['-3', 'x', '1e400', '2']) {
    const query = new URLSearchParams({ before: 'a b c', page });
    expect(pagesAround(query, undefined).number).toBe(4);
  }
});
