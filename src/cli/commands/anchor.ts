import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { toHex } from '../../core/bytes.ts';
import { errnoText } from '../../core/errno.ts';
import { HoldfastError } from '../../core/errors.ts';
import { openRegular, readAtMost } from '../../core/files.ts';
import { MAX_LOG_PROOF } from '../../receipts/anchors/inclusion.ts';
import type { BlobRootsStatus } from '../../receipts/blob-roots.ts';
import { anchoredObjects, anchorOf, chainKeyOf, logFolderOf } from '../../vault/anchor.ts';
import {
  type AnchorLogReport,
  proveAnchored,
  verifyAnchorLog,
  verifyAnchorProof,
} from '../../vault/check-anchor.ts';
import { deployAnchor } from '../../vault/open-chain-anchor.ts';
import { configOf } from '../config-of.ts';
import type { CliContext, ConfigFlags } from '../flags.ts';
import { bytes, counted } from '../format.ts';
import { output } from '../io.ts';
import { runCommand } from '../run-command.ts';

interface CommonFlags extends Pick<ConfigFlags, 'home' | 'config'> {
  readonly json: boolean;
}

export async function status(this: CliContext, flags: CommonFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const config = await configOf(flags, io);
    const { kind, contract, chainId } = config.anchor;
    const objects = await anchoredObjects(config, io.env, { signal: io.signal });
    if (kind === 'local') {
      const folder = logFolderOf(config);
      const report = shownLog(await verifyAnchorLog(folder));
      output(io, flags.json, { kind, folder, ...report, ...(objects && { objects }) }, () =>
        [`log in ${folder}`, lines(report), ...describe(objects)].join('\n'),
      );
      return undefined;
    }
    const anchor = anchorOf(config, io.env);
    try {
      // Asks the node whether chain, contract and owner are the right ones.
      await anchor?.look([], io.signal);
    } finally {
      await anchor?.close();
    }
    const chain = anchor && { contract, chainId };
    output(io, flags.json, { kind, ...chain, ...(objects && { objects }) }, () =>
      [
        anchor === undefined
          ? 'nothing is anchored: [anchor] says kind = "none"'
          : `contract ${contract} of chain ${chainId} is there, and takes roots from this account`,
        ...describe(objects),
      ].join('\n'),
    );
    return undefined;
  });
}

const OLDER = {
  done: 'all from before the anchor are looked through',
  'under way': 'those from before the anchor are being looked through',
  unknown: 'those from before the anchor wait for a put, or for a service that has the key',
} as const;

function* describe(objects: BlobRootsStatus | undefined): Generator<string> {
  if (objects === undefined) return;
  yield `${'due'.padEnd(13)}${counted(objects.due, 'object')} whose roots wait for the anchor`;
  yield `${'older'.padEnd(13)}${OLDER[objects.older]}`;
}

const shownLog = ({ root, ...report }: AnchorLogReport) => ({ ...report, root: toHex(root) });

const lines = (report: object): string =>
  Object.entries(report)
    .map(([name, value]) => `${name.padEnd(13)}${value}`)
    .join('\n');

export interface VerifyFlags {
  readonly key?: string;
  readonly json: boolean;
}

/** A folder is a log, a file a proof. */
export async function verify(this: CliContext, flags: VerifyFlags, path: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const at = resolve(io.cwd, path);
    const proof = await readProof(at);
    if (proof === undefined) {
      const report = shownLog(await verifyAnchorLog(at, flags.key));
      output(io, flags.json, report, () =>
        [
          `all of the log is as its checkpoint says: ${counted(report.size, 'root')}`,
          lines(report),
          ...(flags.key === undefined ? ['is the key the one that you mean? give it with --key'] : []),
        ].join('\n'),
      );
      return undefined;
    }
    if (flags.key === undefined)
      throw new HoldfastError('ConfigInvalid', 'a proof proves nothing without the key of the log', {
        code: 'bad_option',
        hint: 'Give it with --key; it is in the file log.vkey of the log.',
      });
    const { item, ...where } = await verifyAnchorProof(proof, flags.key);
    const data = { ...where, ...item, digest: toHex(item.digest) };
    output(io, flags.json, data, () =>
      [`the root is in the log: ${item.kind} ${item.key}, ${bytes(item.total)}`, lines(data)].join('\n'),
    );
    return undefined;
  });
}

/** Undefined: it is a folder. */
async function readProof(path: string): Promise<Uint8Array | undefined> {
  try {
    const file = await openRegular(path, 'followed');
    try {
      return await readAtMost(file, MAX_LOG_PROOF);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (['EFTYPE', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw noAccess(`${path} cannot be read`, error);
  }
}

function noAccess(what: string, error: unknown): HoldfastError {
  return new HoldfastError('PermissionDenied', `${what}: ${errnoText(error)}`, {
    code: 'access_denied',
    cause: error,
  });
}

export interface ProveFlags extends CommonFlags {
  readonly folder?: string;
  readonly out: string;
}

export async function prove(this: CliContext, flags: ProveFlags, key: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const folder =
      flags.folder === undefined ? logFolderOf(await configOf(flags, io)) : resolve(io.cwd, flags.folder);
    const proof = await proveAnchored(folder, { kind: key.startsWith('b3:') ? 'blob' : 'epoch', key });
    const file = resolve(io.cwd, flags.out);
    await writeFile(file, proof).catch((error: unknown) => {
      throw noAccess(`${file} cannot be written`, error);
    });
    output(io, flags.json, { file, bytes: proof.length }, () =>
      [
        `${proof.length} bytes in ${file}`,
        `check it with: holdfast anchor verify ${flags.out} --key KEY`,
      ].join('\n'),
    );
    return undefined;
  });
}

export async function deploy(this: CliContext, flags: CommonFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const config = await configOf(flags, io);
    const { url, maxFeeGwei } = config.anchor;
    const made = await deployAnchor({ url, maxFeeGwei, key: await chainKeyOf(config, io.env) }, io.signal);
    output(io, flags.json, made, () =>
      [
        'a block has the contract. In the configuration:',
        '[anchor]',
        'kind = "evm"',
        `chain_id = ${made.chainId}`,
        `contract = "${made.contract}"`,
      ].join('\n'),
    );
    return undefined;
  });
}
