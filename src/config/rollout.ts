import type {
  CompressionAlgorithm,
  Config,
  ConfigWarning,
  ErasureAlgorithm,
  FallbackPolicy,
  RolloutConfig,
  StoragePolicy,
} from './types.ts';

type Sections = Pick<Config, 'erasure' | 'compression' | 'rollout'>;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Whether a fallback may be written now. What was written under one stays readable whatever this says. */
export interface RolloutGate {
  readonly allowed: boolean;
  /** True when it is allowed only because the emergency switch is set. */
  readonly emergency: boolean;
  /** Why it is refused, or undefined. */
  readonly reason: string | undefined;
}

/** What is written only where an operator permits it. */
const FALLBACK_CODER: ErasureAlgorithm = 'xor';
const FALLBACK_COMPRESSOR: CompressionAlgorithm = 'rle';

const TRUTHY = ['1', 'true', 'yes', 'on'];

const isTruthy = (value: string | undefined): boolean =>
  value !== undefined && TRUTHY.includes(value.trim().toLowerCase());

/** May objects be written with `algorithm`? Those that are no fallbacks always may. */
export function coderGate(
  algorithm: ErasureAlgorithm,
  rollout: RolloutConfig,
  env: Environment,
): RolloutGate {
  if (algorithm !== FALLBACK_CODER) return OPEN;
  return fallbackGate(rollout.allowFallbackCoder, 'allow_fallback_coder', rollout, env);
}

export function compressorGate(
  algorithm: CompressionAlgorithm,
  rollout: RolloutConfig,
  env: Environment,
): RolloutGate {
  if (algorithm !== FALLBACK_COMPRESSOR) return OPEN;
  return fallbackGate(rollout.allowFallbackCompressor, 'allow_fallback_compressor', rollout, env);
}

const OPEN: RolloutGate = { allowed: true, emergency: false, reason: undefined };

function fallbackGate(allowed: boolean, key: string, rollout: RolloutConfig, env: Environment): RolloutGate {
  if (!allowed) return refused(`rollout.${key} is false`);
  if (!rollout.requireEmergencySwitch) return OPEN;
  if (isTruthy(env[rollout.emergencySwitchEnv])) return { allowed: true, emergency: true, reason: undefined };
  return refused(`the emergency switch ${rollout.emergencySwitchEnv} is not set`);
}

const refused = (reason: string): RolloutGate => ({ allowed: false, emergency: false, reason });

/** In force for what this configuration and this environment let be put now. */
export function storagePolicyOf(
  { erasure, compression, rollout }: Sections,
  env: Environment,
): StoragePolicy {
  const inForce = (algorithm: string, fallback: string, gate: RolloutGate): FallbackPolicy => ({
    algorithm,
    fallback,
    fallbackAllowed: gate.allowed,
    refused: gate.reason ?? null,
    needsEmergencySwitch: rollout.requireEmergencySwitch,
    emergency: gate.emergency,
  });
  const coder = coderGate(FALLBACK_CODER, rollout, env);
  const compressor = compressorGate(FALLBACK_COMPRESSOR, rollout, env);
  return {
    erasure: inForce(erasure.algorithm, FALLBACK_CODER, coder),
    compression: inForce(compression.algorithm, FALLBACK_COMPRESSOR, compressor),
  };
}

/** A line for each kind of work. */
export function describePolicy({ erasure, compression }: StoragePolicy): string[] {
  const line = (what: string, { algorithm, fallback, refused, emergency }: FallbackPolicy): string => {
    const why = emergency ? 'permitted by the emergency switch' : 'permitted';
    return `${what} ${algorithm}; fallback ${fallback} ${refused === null ? why : `refused: ${refused}`}`;
  };
  return [line('erasure', erasure), line('compression', compression)];
}

/** What must be logged while fallbacks ride on the emergency switch. */
export function emergencyWarnings(coder: RolloutGate, compressor: RolloutGate): ConfigWarning[] {
  const warnings: ConfigWarning[] = [];
  if (coder.emergency) {
    warnings.push({
      code: 'storage_erasure_fallback_emergency',
      message: 'objects are written with the fallback erasure code because the emergency switch is set',
    });
  }
  if (compressor.emergency) {
    warnings.push({
      code: 'storage_compression_fallback_emergency',
      message: 'objects are written with the fallback compressor because the emergency switch is set',
    });
  }
  return warnings;
}
