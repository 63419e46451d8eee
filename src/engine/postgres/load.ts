import type { PostgresEngineOptions, SharedEngine } from './engine.ts';

/** Loaded only by those who have chosen it. */
export async function loadPostgresEngine(options: PostgresEngineOptions): Promise<SharedEngine> {
  const { createPostgresEngine } = await import('./engine.ts');
  return createPostgresEngine(options);
}
