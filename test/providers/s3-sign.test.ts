import { describe, expect, it } from 'vitest';
import { escapePath, sha256Hex, signedHeaders } from '../../src/providers/s3/sign.ts';

/** The examples of the Amazon S3 API Reference, "Signature Calculations for the Authorization Header". */
const examples = [
  {
    method: 'GET',
    path: '/test.txt',
    query: {},
    headers: { range: 'bytes=0-9' },
    body: '',
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  {
    method: 'PUT',
    path: escapePath('/test$file.text'),
    query: {},
    headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
    body: 'Welcome to Amazon S3.',
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  {
    method: 'GET',
    path: '/',
    query: { lifecycle: '' },
    headers: {},
    body: '',
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  {
    method: 'GET',
    path: '/',
    query: { prefix: 'J', 'max-keys': '2' },
    headers: {},
    body: '',
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
];

const common = {
  host: 'examplebucket.s3.amazonaws.com',
  region: 'us-east-1',
  nowUnixMs: Date.UTC(2013, 4, 24),
};
const keys = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};

describe('Signature Version 4', () => {
  it.each(examples)(
    'agrees with the published example: $method $path $query',
    ({ body, signature, ...request }) => {
      const signed = signedHeaders({ ...common, ...request, payloadHash: sha256Hex(body) }, keys);
      expect(signed.authorization).toContain(`Signature=${signature}`);
    },
  );

  it('covers the session token', () => {
    const request = {
      ...common,
      method: 'GET',
      path: '/',
      query: {},
      headers: {},
      payloadHash: sha256Hex(''),
    };
    const signed = signedHeaders(request, { ...keys, sessionToken: 'a token' });
    expect(signed['x-amz-security-token']).toBe('a token');
    expect(signed.authorization).toContain('x-amz-date;x-amz-security-token,');
    expect(signed.authorization).not.toBe(
      signedHeaders(request, { ...keys, sessionToken: 'other' }).authorization,
    );
  });

  it('hashes a body in pieces as one', () => {
    expect(sha256Hex(Buffer.from('Welcome to '), Buffer.from('Amazon S3.'))).toBe(
      sha256Hex('Welcome to Amazon S3.'),
    );
  });
});
