/** What the operator allows; the defaults are those of config/storage.toml. */
export interface CatalogPolicy {
  readonly probe: {
    readonly intervalMs: number;
    readonly timeoutMs: number;
    /** Probes under way at once. */
    readonly concurrency: number;
  };
  readonly quarantine: {
    /** A provider whose probe loss is over this is quarantined; one failed probe in a good history makes 0.2. */
    readonly maxLoss: number;
    readonly maxRttMs: number;
    /** Good probes in a row that let a provider back once its averages are within the limits. */
    readonly returnAfter: number;
  };
  readonly failing: {
    /** Recent failed transfers from which on a provider is left alone ... */
    readonly count: number;
    /** ... for this long after the last of them. */
    readonly cooldownMs: number;
  };
  /** Whether 0 configured credits mean no limit. */
  readonly zeroCreditsUnlimited: boolean;
}

export const DEFAULT_CATALOG_POLICY: CatalogPolicy = {
  probe: { intervalMs: 30_000, timeoutMs: 5_000, concurrency: 8 },
  quarantine: { maxLoss: 0.5, maxRttMs: 2_000, returnAfter: 3 },
  failing: { count: 3, cooldownMs: 60_000 },
  zeroCreditsUnlimited: false,
};
