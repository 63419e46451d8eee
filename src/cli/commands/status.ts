import type { VaultStatus } from '../../vault/vault.ts';
import { WHY_LOST } from '../damage-text.ts';
import { EXIT, type ExitCode, worstOf } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted, isoTime } from '../format.ts';
import { output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

export default async function status(this: CliContext, flags: CommonFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const found = await withVault(io, flags, (vault) => vault.status({ signal: io.signal }));
    output(io, flags.json, found, () => [...describe(found)].join('\n'));
    return exitOf(found);
  });
}

function exitOf({ standing, unreadable, survival, damage, names, repair, lostHours }: VaultStatus): ExitCode {
  const states = { confirmed: EXIT.done, unconfirmed: EXIT.notEnough, behind: EXIT.policy };
  const { least = 0, due, short } = survival;
  const isDamaged = unreadable.length > 0 || least < 0 || damage.segments > 0 || lostHours.length > 0;
  return worstOf([
    states[standing],
    due + short + names.due + names.short + repair.putOff > 0 ? EXIT.notEnough : EXIT.done,
    isDamaged ? EXIT.integrity : EXIT.done,
  ]);
}

const STANDING = {
  confirmed: 'the latest, as a majority of the providers says',
  unconfirmed: 'not known to be the latest: nothing is deleted until more providers answer',
  behind: 'not the latest: nothing is deleted until `holdfast recover` has brought it up to date',
} as const;

function* describe({ standing, why, reserve, ...status }: VaultStatus): Generator<string> {
  yield `state        ${STANDING[standing]}`;
  for (const line of why) yield `  - ${line}`;
  yield* describeStored(status);
  yield* describeBacklog(status);
  yield* describeRepair(status.repair);
  yield* describeLostHours(status.lostHours);
  if (reserve === false) yield 'reserve      not whole: the disk that holds the home is full';
  for (const { table, records, keys } of status.unreadable) {
    yield `unreadable   ${counted(records, 'record')} of ${table}, passed over: ${keys.join(', ')}`;
  }
  for (const [name, { error, failures, failedMs }] of Object.entries(status.failing)) {
    yield `failing      ${name}: ${counted(failures, 'time')}, last ${timeOf(failedMs)}: ${error}`;
  }
  for (const [name, { doneMs, error, failures }] of Object.entries(status.chores)) {
    const last = `last done ${timeOf(doneMs)}`;
    yield `chore        ${name}: ${failures === 0 ? last : `${last}; not since, ${counted(failures, 'time')}: ${error}`}`;
  }
}

function* describeStored({
  survival,
  lost,
  names,
  damage,
  moves,
  scrub,
}: Pick<VaultStatus, 'survival' | 'lost' | 'names' | 'damage' | 'moves' | 'scrub'>): Generator<string> {
  const { segments, due, short, more } = survival;
  for (const { tolerates, count } of segments) {
    const what = tolerates < 0 ? 'LOST: too little is left' : `survive the loss of any ${tolerates} more`;
    yield `stored       ${counted(count, 'segment')}: ${what}`;
  }
  if (segments.length === 0) yield 'stored       nothing, as far as is indexed';
  if (more) yield '  - there are more segments than were counted';
  for (const { provider, why } of lost) yield `lost         ${provider}: ${WHY_LOST[why]}`;
  if (due > 0) yield `repair due   ${counted(due, 'segment')} with shards at lost providers`;
  if (short > 0) yield `short        ${counted(short, 'segment')} survive fewer losses than was certified`;
  yield* describeNames(names);
  if (damage.segments > 0) {
    const { missing, corrupt, oldestMs } = damage;
    yield `damage       ${missing} blobs missing and ${corrupt} corrupt of ${counted(damage.segments, 'segment')}, the first found ${timeOf(oldestMs)}`;
  }
  const { intended, leaving } = moves;
  if (intended + leaving > 0)
    yield `moves        ${counted(intended, 'pack')} on their way, ${leaving} to be deleted where they were`;
  yield scrub === undefined
    ? 'scrub        never'
    : `scrub        last ${timeOf(scrub.lastMs)}; ${scrub.done} of ${counted(scrub.of, 'part')} read since ${timeOf(scrub.oldestMs)}`;
}

function* describeNames({ due, short, leaving, unknown, more }: VaultStatus['names']): Generator<string> {
  if (due > 0)
    yield `names lost   ${counted(due, 'name')} with copies at lost providers: they are to be copied`;
  if (short > 0) yield `names short  ${counted(short, 'name')} with copies in too few failure domains`;
  if (leaving > 0) yield `names left   ${counted(leaving, 'name')} to be deleted where a copy was`;
  if (unknown > 0)
    yield `names        ${counted(unknown, 'name')} of which it is not noted where the copies are`;
  if (more) yield '  - there are more names than were counted';
}

function* describeRepair({ putOff, nextMs, egressBytes }: VaultStatus['repair']): Generator<string> {
  if (putOff > 0) {
    yield `put off      ${counted(putOff, 'chunk')} that could not be repaired, again from ${timeOf(nextMs)}`;
  }
  for (const [provider, count] of Object.entries(egressBytes)) {
    yield `egress       ${provider}: ${bytes(count)} read for repair today`;
  }
}

function* describeLostHours(hours: VaultStatus['lostHours']): Generator<string> {
  for (const folder of new Set(hours.map((hour) => hour.folder))) {
    const lost = hours.filter((hour) => hour.folder === folder);
    const since = isoTime(Math.min(...lost.map(({ sinceMs }) => sinceMs)));
    const [first, last] = [lost[0]!.epoch, lost.at(-1)!.epoch];
    const which = first === last ? `epoch ${first}` : `epochs ${first} to ${last}`;
    yield `unanchored   ${counted(lost.length, 'hour')} of ${folder} that were credited, ${which}, since ${since}: see \`holdfast receipts settle\``;
  }
}

const timeOf = (ms: number | undefined): string => (ms === undefined ? 'never' : isoTime(ms));

function* describeBacklog({ backlog }: Pick<VaultStatus, 'backlog'>): Generator<string> {
  const { journals, retired, trash, slotsDue, namesDue, more } = backlog;
  const { alive, dead, unfinished, unknown } = journals;
  yield `journals     ${alive} at work, ${dead} left by processes that ended, ${unfinished} to be taken up again, ${unknown} unknown`;
  const since = retired.oldestMs === undefined ? '' : `, the first since ${isoTime(retired.oldestMs)}`;
  yield `retired      ${retired.due} due, ${retired.waiting} waiting, ${retired.later} later${since}`;
  for (const [provider, { blobs, bytes: size, states }] of Object.entries(trash)) {
    const each = Object.entries(states).map(([state, count]) => `${count} ${state}`);
    yield `trash        ${provider}: ${counted(blobs, 'blob')}, ${bytes(size)} (${each.join(', ')})`;
  }
  for (const [provider, count] of Object.entries(slotsDue)) {
    yield `slots due    ${provider}: ${counted(count, 'name')}`;
  }
  if (namesDue > 0) yield `names due    ${counted(namesDue, 'name')} with too few copies`;
  if (more) yield '  - there is more than was counted';
}
