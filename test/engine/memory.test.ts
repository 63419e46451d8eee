import { createMemoryEngine } from '../../src/engine/index.ts';
import { engineConformance } from './conformance.ts';

engineConformance('memory', {
  make: async () => ({ engine: createMemoryEngine(), cleanUp: async () => {} }),
});
