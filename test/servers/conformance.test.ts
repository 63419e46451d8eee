import { expect, it } from 'vitest';
import { suitesOf } from './conformance/litmus.ts';
import { type Row, renderLitmus, renderRows } from './conformance/report.ts';

const row: Row = {
  adapter: 's3',
  server: 'Swift',
  passed: 56,
  skipped: 10,
  failed: 0,
  seconds: 1.23,
  skips: { 'no slots': 10 },
  failures: [],
};

it('the table says of every row what was skipped, what failed and what is not installed', () => {
  const failures = [{ name: 'a case', reason: 'for this' }];
  const none = { ...row, passed: 0, skipped: 0, skips: {} };
  const text = renderRows([
    row,
    { ...row, failed: 1, failures },
    { ...none, server: 'Ceph', absent: 'radosgw is not installed' },
  ]);
  expect(text.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['adapter', 'server', 'passed', 'skipped', 'failed', 'seconds', 'why skipped'],
    ['s3', 'Swift', '56', '10', '0', '1.2', '10: no slots'],
    ['s3', 'Swift', '56', '10', '1', '1.2', '10: no slots'],
    ['s3', 'Ceph', '-', '-', '-', '-', 'not run: radosgw is not installed'],
    ['failed: s3 on Swift: a case: for this'],
  ]);
});

it('what litmus prints over itself is read by its last state, suite by suite', () => {
  const printed = `-> running \`basic':
 0. init.................. \r 0. init.................. pass
 9. delete_fragment....... WARNING: DELETE removed it
    ...................... \r    ...................... pass (with 1 warning)
<- summary for \`basic': of 2 tests run: 2 passed, 0 failed. 100.0%
-> 1 warning was issued.
-> running \`props':
 6. propset............... \r 6. propset............... FAIL (PROPPATCH: 405)
 7. propget............... \r 7. propget............... SKIPPED
<- summary for \`props': of 1 tests run: 0 passed, 1 failed. 0.0%
`;
  const suites = suitesOf(printed);
  expect(suites).toEqual([
    {
      suite: 'basic',
      passed: 2,
      failed: 0,
      skipped: 0,
      remarks: ['WARNING delete_fragment: DELETE removed it'],
    },
    { suite: 'props', passed: 0, failed: 1, skipped: 1, remarks: ['FAIL propset: PROPPATCH: 405'] },
  ]);
  const text = renderLitmus([
    { server: 'nginx', suites },
    { server: 'apache', absent: 'not there', suites: [] },
  ]);
  expect(text).toContain(
    'litmus on nginx: basic 2 passed, 0 failed; props 0 passed, 1 failed, 1 skipped\n' +
      '  basic: WARNING delete_fragment: DELETE removed it\n  props: FAIL propset',
  );
  expect(text).toContain('litmus on apache: not run: not there');
});
