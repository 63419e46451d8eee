import { WRITTEN_TOGETHER } from '../engine/tables.ts';
import { keyPath as at, type Problems } from './problems.ts';
import { coderGate, compressorGate, type Environment } from './rollout.ts';
import type { SectionName } from './schema.ts';
import type { Config, NodeConfig, ProviderConfig, ServingConfig } from './types.ts';

/** Over GF(2^8) a code has at most this many shards. */
const MAX_SHARDS = 255;
/** A chunk in flight holds its plaintext, its shards and, before coding, its compressed form. */
const SLABS_PER_CHUNK = 4;

/** What each key may say alone but not together. */
export function checkCombinations(
  config: Pick<Config, SectionName | 'providers'>,
  env: Environment,
  problems: Problems,
): void {
  checkLadder(config, problems);
  checkShards(config, problems);
  checkFountain(config, problems);
  checkCompression(config, problems);
  checkMemory(config, problems);
  checkRollout(config, env, problems);
  checkServing(config, problems);
  checkEngines(config, problems);
  checkAnchor(config, problems);
}

function checkEngines({ engine }: Pick<Config, 'engine'>, problems: Problems): void {
  const { default: main, overrides } = engine;
  const engineOf = (table: string): string => (Object.hasOwn(overrides, table) ? overrides[table]! : main);
  const other = WRITTEN_TOGETHER.find((table) => engineOf(table) !== engineOf(WRITTEN_TOGETHER[0]!));
  if (other === undefined) return;
  const problem = `keeps ${WRITTEN_TOGETHER[0]} and ${other} in different engines, and they are written together`;
  problems.add(at('engine', 'overrides'), problem, `one engine for ${WRITTEN_TOGETHER.join(', ')}`);
}

function checkAnchor({ anchor }: Pick<Config, 'anchor'>, problems: Problems): void {
  if (anchor.kind !== 'evm') return;
  const key = (['url', 'chainId', 'contract'] as const).find((one) => !anchor[one]);
  if (key !== undefined)
    problems.add(at('anchor', key), 'is missing', 'url, chain_id and contract for kind "evm"');
}

function checkLadder({ chunks }: Pick<Config, 'chunks'>, problems: Problems): void {
  const { ladder, defaultBytes } = chunks;
  if (ladder.some((rung, i) => i > 0 && rung <= ladder[i - 1]!)) {
    problems.add(at('chunks', 'ladder'), 'does not ascend', 'chunk lengths in ascending order, each once');
  } else if (!ladder.includes(defaultBytes)) {
    const keys = [at('chunks', 'defaultBytes'), at('chunks', 'ladder')];
    problems.addConflict(keys, `default_bytes ${defaultBytes} is no rung of the ladder`, ladder.join(', '));
  }
}

function checkShards({ erasure, fountain }: Pick<Config, 'erasure' | 'fountain'>, problems: Problems): void {
  const { algorithm, dataShards, localParity, globalParity, parityShards } = erasure;
  const keys = ['dataShards', 'localParity', 'globalParity', 'parityShards'].map((key) => at('erasure', key));
  const lrc = algorithm === 'lrc';
  if (lrc && localParity > dataShards) {
    const problem = `local_parity ${localParity} with data_shards ${dataShards} leaves a group empty`;
    problems.addConflict([keys[1]!, keys[0]!], problem, `local_parity from 1 to ${dataShards}`);
  }
  const total = dataShards + (lrc ? localParity + globalParity + fountain.shards : parityShards);
  if (total > MAX_SHARDS) {
    const relevant = lrc ? [...keys.slice(0, 3), at('fountain', 'shards')] : [keys[3]!, keys[0]!];
    problems.addConflict(relevant, `the code would have ${total} shards`, `${MAX_SHARDS} shards in all`);
  }
}

function checkFountain(
  { erasure, fountain }: Pick<Config, 'erasure' | 'fountain'>,
  problems: Problems,
): void {
  if (erasure.algorithm !== 'lrc') return;
  const keys = [at('fountain', 'shards'), at('fountain', 'kind')];
  if ((fountain.kind === 'none') !== (fountain.shards === 0)) {
    const problem = `kind "${fountain.kind}" does not go with ${fountain.shards} shards`;
    problems.addConflict(keys, problem, 'kind "none" with shards 0, any other kind with at least 1');
  } else if (fountain.kind !== 'none' && erasure.dataShards < 2) {
    const problem = 'an overlay has nothing to combine in a code of one data shard';
    problems.addConflict(
      [at('erasure', 'dataShards'), ...keys],
      problem,
      'data_shards from 2, or fountain.kind "none"',
    );
  }
}

function checkCompression({ compression }: Pick<Config, 'compression'>, problems: Problems): void {
  if (compression.algorithm === 'deflate' && compression.level > 9) {
    const keys = [at('compression', 'level'), at('compression', 'algorithm')];
    problems.addConflict(
      keys,
      `deflate has no level ${compression.level}`,
      '1 to 9 for deflate, 1 to 19 for zstd',
    );
  }
}

function checkMemory({ limits, chunks }: Pick<Config, 'limits' | 'chunks'>, problems: Problems): void {
  const needed = SLABS_PER_CHUNK * Math.max(...chunks.ladder);
  if (limits.memoryBytes < needed) {
    const keys = [at('limits', 'memoryBytes'), at('chunks', 'ladder')];
    const problem = `memory_bytes ${limits.memoryBytes} cannot hold one chunk of the ladder's longest rung`;
    problems.addConflict(keys, problem, `at least ${needed}, ${SLABS_PER_CHUNK} times the longest rung`);
  }
}

function checkRollout(
  { erasure, compression, rollout }: Pick<Config, 'erasure' | 'compression' | 'rollout'>,
  env: Environment,
  problems: Problems,
): void {
  const coder = coderGate(erasure.algorithm, rollout, env);
  if (!coder.allowed) {
    const allowed = '"lrc", "reed-solomon", or what [rollout] permits';
    problems.add(
      at('erasure', 'algorithm'),
      `"${erasure.algorithm}" is a fallback and refused: ${coder.reason}`,
      allowed,
    );
  }
  const compressor = compressorGate(compression.algorithm, rollout, env);
  if (!compressor.allowed) {
    const allowed = '"none", "zstd", "deflate", "lz77-rle", or what [rollout] permits';
    problems.add(
      at('compression', 'algorithm'),
      `"${compression.algorithm}" is a fallback and refused: ${compressor.reason}`,
      allowed,
    );
  }
}

/** What keys of `[node]`, `[gateway]` and `[daemon]` may say alone but not together. */
function checkServing(
  { node, gateway, daemon, providers }: Pick<Config, 'node' | 'gateway' | 'daemon' | 'providers'>,
  problems: Problems,
): void {
  checkTls('node', node, problems);
  checkTls('gateway', gateway, problems);
  checkTls('daemon', daemon, problems);
  checkBackends(node, providers, problems);
}

function checkTls(section: string, { tlsCert, tlsKey, clientCa }: ServingConfig, problems: Problems): void {
  if (tlsCert === '' && tlsKey === '' && clientCa === '') return;
  if (tlsCert !== '' && tlsKey !== '') return;
  const keys = ['tlsCert', 'tlsKey', 'clientCa'].map((key) => at(section, key));
  problems.addConflict(keys, 'TLS is only half described', 'tls_cert and tls_key together');
}

function checkBackends(
  { root, amnesia, backends }: NodeConfig,
  providers: readonly ProviderConfig[],
  problems: Problems,
): void {
  const key = at('node', 'backends');
  const unknown = backends.find((id) => !providers.some((provider) => provider.id === id));
  if (unknown !== undefined) {
    const ids = providers.map(({ id }) => id).join(', ');
    problems.add(key, `"${unknown}" is no provider`, `ids of [[providers]]: ${ids}`);
  } else if (new Set(backends).size < backends.length) {
    problems.add(key, 'names one twice', 'each provider once');
  }
  const places = [backends.length > 0 && 'backends', root !== '' && 'root', amnesia && 'amnesia'].filter(
    (place) => place !== false,
  );
  if (places.length < 2) return;
  const keys = places.map((place) => at('node', place));
  problems.addConflict(keys, `${places.join(' and ')} exclude each other`, `one of ${places.join(', ')}`);
}
