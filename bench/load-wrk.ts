import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { median } from './numbers.ts';

export const CONNECTIONS = 32;

/** One thread of wrk against one server. */
export interface WrkJob {
  readonly url: string;
  readonly method: 'GET' | 'PUT';
  /** Asked for in turn. */
  readonly paths: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  /** The `Range` of each path, where they differ. */
  readonly ranges?: readonly string[];
  /** Of a PUT: what differs from body to body, hex, one for each path; and what all end with. */
  readonly heads?: readonly string[];
  readonly tail?: string;
  readonly seconds: number;
  /** Each path once, then stop. */
  readonly once: boolean;
}

/** Milliseconds. */
export interface WrkResult {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  /** Answers other than 2xx and 3xx, and requests that got none. */
  readonly refused: number;
  readonly failed: number;
}

/** wrk sleeps out its time even when all requests are done, so the script has a clock of its own. */
const SCRIPT = `
local ffi = require("ffi")
ffi.cdef[[ typedef struct { long s; long ns; } hf_time; int clock_gettime(int, hf_time*); ]]
local function now() local t = ffi.new("hf_time"); ffi.C.clock_gettime(1, t); return tonumber(t.s) + tonumber(t.ns) / 1e9 end
local threads, texts, heads, tails, sent, count, limit = {}, {}, {}, "", 0, 0, false
function setup(thread) threads[#threads + 1] = thread end
function init(args)
  local spec = dofile(args[1])
  limit = spec.once
  for i, path in ipairs(spec.paths) do
    if spec.ranges then spec.headers.Range = spec.ranges[i] end
    texts[i] = wrk.format(spec.method, path, spec.headers)
    if spec.heads then
      local head = spec.heads[i]:gsub("..", function(x) return string.char(tonumber(x, 16)) end)
      if i == 1 then tails = assert(io.open(spec.tail, "rb")):read("*a") end
      local length = "Content-Length: " .. (#head + #tails)
      texts[i] = texts[i]:sub(1, -3):gsub("\\r\\nContent%-Length:[^\\r]*", "") .. length .. "\\r\\n\\r\\n" .. head
    end
  end
  count = #texts
end
function request()
  if sent == 1 then first = now() end
  if limit and sent > count then last = now(); wrk.thread:stop() end
  local text = texts[sent % count + 1]
  sent = sent + 1
  if tails ~= "" then return text .. tails end
  return text
end
function done(summary, latency)
  local first, last = threads[1]:get("first"), threads[1]:get("last")
  local seconds = (first and last) and last - first or summary.duration / 1e6
  local e = summary.errors
  io.write(string.format('\\nRESULT {"requests":%d,"seconds":%.6f,"p50":%d,"p95":%d,"p99":%d,"max":%d,"refused":%d,"failed":%d}\\n',
    summary.requests, seconds, latency:percentile(50), latency:percentile(95), latency:percentile(99), latency.max,
    e.status, e.connect + e.read + e.write + e.timeout))
end
`;

/** As the script writes it: latencies in microseconds. */
type Raw = Omit<WrkResult, 'perSecond'> & { readonly seconds: number };

/** @param dir for the script. @throws Error with what wrk wrote when it fails. */
export async function wrk(dir: string, job: WrkJob, connections: number = CONNECTIONS): Promise<WrkResult> {
  const script = join(dir, 'wrk.lua');
  const spec = join(dir, 'wrk-job.lua');
  await writeFile(script, SCRIPT);
  await writeFile(spec, luaOf(job));
  const flags = ['-t1', `-c${connections}`, `-d${job.seconds}s`, '--timeout', '10s', '-s', script];
  const output = await outputOf('wrk', [...flags, job.url, '--', spec]);
  const line = /^RESULT (.*)$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`wrk gave no result:\n${output}`);
  const { requests, seconds, refused, failed, ...micros } = JSON.parse(line) as Raw;
  return {
    requests,
    perSecond: requests / seconds,
    p50: micros.p50 / 1000,
    p95: micros.p95 / 1000,
    p99: micros.p99 / 1000,
    max: micros.max / 1000,
    refused,
    failed,
  };
}

/** The medians of several runs, but the most errors that one of them had. */
export function middleResult(results: readonly WrkResult[]): WrkResult {
  const of = (get: (result: WrkResult) => number): number => median(results.map(get));
  return {
    requests: of(({ requests }) => requests),
    perSecond: of(({ perSecond }) => perSecond),
    p50: of(({ p50 }) => p50),
    p95: of(({ p95 }) => p95),
    p99: of(({ p99 }) => p99),
    max: of(({ max }) => max),
    refused: Math.max(...results.map(({ refused }) => refused)),
    failed: Math.max(...results.map(({ failed }) => failed)),
  };
}

function luaOf({ method, paths, headers, ranges, heads, tail, once }: WrkJob): string {
  const list = (items: readonly string[]): string =>
    `{\n${items.map((item) => `${JSON.stringify(item)},\n`).join('')}}`;
  const table = Object.entries(headers).map(([name, value]) => `["${name}"]=${JSON.stringify(value)},`);
  const body = heads === undefined ? '' : `heads=${list(heads)}, tail=${JSON.stringify(tail)},`;
  const each = ranges === undefined ? '' : `ranges=${list(ranges)},`;
  return `return { method="${method}", once=${once}, headers={${table.join('')}}, ${each} ${body} paths=${list(paths)} }\n`;
}

/** @throws Error with what it wrote when it fails. */
export function outputOf(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        text += String(data);
      });
    }
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`${program} ${args.join(' ')} failed: ${text}`));
    });
  });
}
