import type { Engine } from '../engine.ts';
import type { PostgresEngineOptions } from './engine.ts';

/** Loaded only by those who have chosen it. */
export async function loadPostgresEngine(options: PostgresEngineOptions): Promise<Engine> {
  const { createPostgresEngine } = await import('./engine.ts');
  return createPostgresEngine(options);
}
