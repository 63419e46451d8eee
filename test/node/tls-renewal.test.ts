import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Authority, createAuthority, hasOpenssl, type Issued } from '../helpers/authority.ts';
import { startNode } from './harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe.skipIf(!hasOpenssl())('a certificate that is renewed', () => {
  let authority: Authority;
  beforeAll(() => {
    authority = createAuthority(dir);
  });
  const certFile = join(dir, 'live.crt');
  const keyFile = join(dir, 'live.key');
  const clientCaFile = join(dir, 'live.ca');

  /** Who answers, and with what status. */
  function ask(port: number, agent: Agent): Promise<{ status: number; subject: string }> {
    return new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, path: '/healthz', agent }, (answer) => {
        const subject = String((answer.socket as TLSSocket).getPeerCertificate().subject.CN);
        answer.resume().once('end', () => resolve({ status: answer.statusCode!, subject }));
      });
      asked.once('error', reject).end();
    });
  }
  const fresh = (port: number, more: object = {}): Promise<{ status: number; subject: string }> =>
    ask(port, new Agent({ ca: authority.ca, keepAlive: false, ...more }));
  const install = ({ certFile: cert, keyFile: key }: Issued): void => {
    copyFileSync(cert, certFile);
    copyFileSync(key, keyFile);
  };

  it('is shown to new connections without a restart, and old ones go on', async () => {
    const events: string[] = [];
    const refusals = (): number => events.filter((name) => name === 'tls_files_refused').length;
    const node = await startNode({ log: { event: (_, name) => void events.push(name) } });
    const [first, second] = [authority.issue('first'), authority.issue('second')];
    install(first);
    const at = await node.node.listen({
      kind: 'tcp',
      host: '127.0.0.1',
      port: 0,
      tls: { certFile, keyFile },
    });
    const { port } = at as { port: number };
    const kept = new Agent({ ca: authority.ca, keepAlive: true, maxSockets: 1 });
    expect(await ask(port, kept)).toEqual({ status: 200, subject: 'first' });

    // Half of it: the key does not fit the certificate yet.
    copyFileSync(second.certFile, certFile);
    await expect.poll(refusals).toBe(1);
    expect(await fresh(port)).toEqual({ status: 200, subject: 'first' });

    copyFileSync(second.keyFile, keyFile);
    await expect.poll(async () => (await fresh(port)).subject).toBe('second');
    expect(events.filter((name) => name === 'tls_files_read')).toHaveLength(1);
    expect(await ask(port, kept)).toEqual({ status: 200, subject: 'first' });
    kept.destroy();

    writeFileSync(certFile, 'nonsense');
    await expect.poll(refusals).toBe(2);
    expect(await fresh(port)).toEqual({ status: 200, subject: 'second' });
  });

  it('of the authority of clients counts for new connections too', async () => {
    const node = await startNode({ anonymous: [] });
    const other = createAuthority(dir, 'other');
    install(authority.issue('server'));
    copyFileSync(authority.caFile, clientCaFile);
    const at = await node.node.listen({
      kind: 'tcp',
      host: '127.0.0.1',
      port: 0,
      tls: { certFile, keyFile, clientCaFile },
    });
    const { port } = at as { port: number };
    const [ours, theirs] = [authority.issue('client'), other.issue('client-of-another')];
    const gets = ({ cert, key }: Issued): Promise<boolean> =>
      fresh(port, { cert, key }).then(
        () => true,
        () => false,
      );
    expect([await gets(ours), await gets(theirs)]).toEqual([true, false]);
    copyFileSync(other.caFile, clientCaFile);
    await expect.poll(() => gets(theirs)).toBe(true);
    expect(await gets(ours)).toBe(false);
  });
});
