import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { createFsAdapter } from '../../src/providers/fs/driver.ts';
import { initFsProvider } from '../../src/providers/fs/layout.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { deps, describeConformance } from './conform.ts';

describeConformance('memory', { open: () => createMemoryAdapter({ id: 'm', ...deps }) });

const root = await mkdtemp(join(tmpdir(), 'holdfast-conformance-'));
await initFsProvider(root, 'f');
afterAll(() => rm(root, { recursive: true, force: true }));

describeConformance('fs', { open: () => createFsAdapter({ id: 'f', root, ...deps }) });
