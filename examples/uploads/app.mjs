import { randomUUID } from 'node:crypto';
import { isHoldfastError } from 'holdfast';
import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';

const MAX_BYTES = 256 * 1024 * 1024;
const ID = /^[0-9a-f-]{36}$/;
const nameOf = (id) => `uploads/${id}`;

/** Yields a request's body and gives up once it is longer than it may be. */
async function* capped(body) {
  let size = 0;
  for await (const piece of body ?? []) {
    size += piece.length;
    if (size > MAX_BYTES) throw new HTTPException(413, { message: `at most ${MAX_BYTES} bytes` });
    yield piece;
  }
}

const STATUS = { NotFound: 404, QuotaExceeded: 507, Unavailable: 503, Timeout: 503, RateLimited: 503 };

/** An application that keeps what its users upload in a vault. @param {import('holdfast').Vault} vault */
export function createApp(vault) {
  const app = new Hono();

  app.post('/uploads', async (c) => {
    const id = randomUUID();
    const contentType = c.req.header('content-type') ?? 'application/octet-stream';
    // Resolves once the bytes are as safe as the certificate says; a client that leaves cancels the put.
    const { manifest, size, certificate } = await vault.putObject(capped(c.req.raw.body), {
      name: nameOf(id),
      contentType,
      signal: c.req.raw.signal,
    });
    const body = { id, manifest, size, tolerates: certificate.tolerates };
    return c.json(body, 201, { location: `/uploads/${id}` });
  });

  app.get('/uploads', async (c) => {
    const found = [];
    for await (const { name, size, createdMs } of vault.listObjects()) {
      if (name.startsWith('uploads/')) found.push({ id: name.slice('uploads/'.length), size, createdMs });
    }
    return c.json(found);
  });

  app.get('/uploads/:id', async (c) => {
    const object = await vault.getObject(nameOf(known(c.req.param('id'))), { signal: c.req.raw.signal });
    const etag = `"${object.manifest}"`;
    if (c.req.header('if-none-match') === etag) return c.body(null, 304, { etag });
    return c.body(object.stream(), 200, {
      etag,
      'content-type': object.contentType,
      'content-length': String(object.size),
      // What strangers upload must not run as a page of this site.
      'content-disposition': 'attachment',
      'x-content-type-options': 'nosniff',
    });
  });

  app.delete('/uploads/:id', async (c) => {
    await vault.deleteObject(nameOf(known(c.req.param('id'))));
    return c.body(null, 204);
  });

  app.onError((error, c) => {
    const cause = error.cause instanceof HTTPException ? error.cause : error;
    if (cause instanceof HTTPException) return c.json({ error: cause.message }, cause.status);
    if (!isHoldfastError(error)) throw error;
    return c.json({ error: error.kind, message: error.message }, STATUS[error.kind] ?? 500);
  });
  return app;
}

function known(id) {
  if (ID.test(id)) return id;
  throw new HTTPException(404, { message: 'no such upload' });
}
