/** What the operator allows; the defaults are those of config/storage.toml. */
export interface CatalogPolicy {
  readonly probe: {
    readonly intervalMs: number;
    /** How often a long-lived process takes over what others stored. */
    readonly refreshMs: number;
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
    /** ... for this long after the last of them, and as long after a lie or a refusal of this process's credentials. */
    readonly cooldownMs: number;
  };
  /** How long a lost race is held against a provider that has not succeeded since. */
  readonly slow: { readonly rememberMs: number };
  /** Whether 0 configured credits mean no limit. */
  readonly zeroCreditsUnlimited: boolean;
}

export const DEFAULT_CATALOG_POLICY: CatalogPolicy = {
  probe: { intervalMs: 30_000, refreshMs: 5_000, timeoutMs: 5_000, concurrency: 32 },
  quarantine: { maxLoss: 0.5, maxRttMs: 2_000, returnAfter: 3 },
  failing: { count: 3, cooldownMs: 60_000 },
  slow: { rememberMs: 600_000 },
  zeroCreditsUnlimited: false,
};
