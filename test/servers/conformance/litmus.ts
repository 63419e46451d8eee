import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launchServer, type RunningServer } from '../servers.ts';

/** What litmus (webdav.org/neon/litmus) says about a server. It tests the server, not our adapter. */
export interface LitmusReport {
  readonly server: string;
  /** Why it did not run. */
  readonly absent?: string;
  readonly suites: readonly LitmusSuite[];
}

export interface LitmusSuite {
  readonly suite: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Failures and warnings, as litmus words them. */
  readonly remarks: readonly string[];
}

type Address = (server: RunningServer) => readonly string[];

const SERVERS: Readonly<Record<string, Address>> = {
  'apache-dav': ({ port }) => [`http://127.0.0.1:${port + 1}/`, 'user', 'pass word'],
  'nginx-dav': ({ port }) => [`http://127.0.0.1:${port}/`],
};
const TIMEOUT_MS = 120_000;

export async function runLitmus(): Promise<LitmusReport[]> {
  const reports: LitmusReport[] = [];
  for (const [name, address] of Object.entries(SERVERS)) {
    const server = await launchServer(name);
    if ('missing' in server) {
      reports.push({ server: name, absent: server.missing, suites: [] });
      continue;
    }
    try {
      const output = await litmus(address(server));
      const suites = output === undefined ? [] : suitesOf(output);
      const absent = suites.length === 0 ? { absent: 'litmus is not installed, or printed nothing' } : {};
      reports.push({ server: name, suites, ...absent });
    } finally {
      await server.stop();
    }
  }
  return reports;
}

/** All its suites, whatever fails; it leaves a trace in the folder it runs in. */
async function litmus(address: readonly string[]): Promise<string | undefined> {
  const cwd = await mkdtemp(join(tmpdir(), 'holdfast-litmus-'));
  try {
    return await new Promise((resolve) => {
      execFile('litmus', ['-k', ...address], { cwd, timeout: TIMEOUT_MS }, (error, stdout, stderr) =>
        resolve(error === null || stdout !== '' ? `${stdout}${stderr}` : undefined),
      );
    });
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}

/** Lines are overwritten with \r on a terminal, so each test's last state is what counts. */
export function suitesOf(output: string): LitmusSuite[] {
  const suites: LitmusSuite[] = [];
  let remarks: string[] = [];
  let test = '';
  let skipped = 0;
  for (const line of output.split(/[\r\n]+/)) {
    test = /^ ?\d+\. (\w+)\.* /.exec(line)?.[1] ?? test;
    const remark = /\b(FAIL|WARNING): ?(.*)$|\b(FAIL) \((.*)\)$/.exec(line);
    if (remark !== null)
      remarks.push(`${remark[1] ?? remark[3]} ${test}: ${remark[2] ?? remark[4] ?? ''}`.trim());
    if (/\bSKIPPED\b/.test(line)) skipped++;
    const summary = /summary for `(\w+)': of \d+ tests run: (\d+) passed, (\d+) failed/.exec(line);
    if (summary === null) continue;
    const [, suite = '', passed, failed] = summary;
    suites.push({ suite, passed: Number(passed), failed: Number(failed), skipped, remarks });
    remarks = [];
    skipped = 0;
  }
  return suites;
}
