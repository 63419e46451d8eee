import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { absent } from './absent.ts';

export interface Authority {
  /** Its certificate, PEM. */
  readonly ca: string;
  readonly caFile: string;
  /** A certificate for `localhost` and 127.0.0.1, with its key. */
  issue(name: string): Issued;
}

export interface Issued {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** A certificate authority of its own, in a folder that exists. It takes openssl. */
export function createAuthority(dir: string, name = 'authority'): Authority {
  const openssl = (...args: string[]): void =>
    void execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' });
  const read = (file: string): string => readFileSync(join(dir, file), 'utf8');
  const [caKey, caCrt] = [`${name}.ca.key`, `${name}.ca.crt`];
  openssl('req', '-x509', ...EC, '-keyout', caKey, '-out', caCrt, '-subj', `/CN=${name}`, '-days', '2');
  writeFileSync(join(dir, 'san'), 'subjectAltName=IP:127.0.0.1,DNS:localhost');
  return {
    ca: read(caCrt),
    caFile: join(dir, caCrt),
    issue(subject) {
      const [key, csr, crt] = [`${subject}.key`, `${subject}.csr`, `${subject}.crt`];
      openssl('req', ...EC, '-keyout', key, '-out', csr, '-subj', `/CN=${subject}`);
      const by = ['-CA', caCrt, '-CAkey', caKey, '-CAcreateserial'];
      openssl('x509', '-req', '-in', csr, ...by, '-out', crt, '-days', '2', '-extfile', 'san');
      return { cert: read(crt), key: read(key), certFile: join(dir, crt), keyFile: join(dir, key) };
    },
  };
}

/** @returns false, having said so, when it is not installed and need not be. */
export function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    absent('openssl is not installed', 'TLS');
    return false;
  }
}
