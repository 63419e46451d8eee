import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';
import { parse } from 'yaml';
import type { Route } from '../../src/http/handle.ts';

interface Json {
  readonly [key: string]: Json;
}

/** The part of a route that a document is compared with. */
export type RouteShape = Pick<Route<never>, 'pattern' | 'match'> & { readonly methods: object };

/** An answer as it came over the wire. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface ApiDocument {
  validate(): Promise<void>;
  /** Expects every path and method of the routes, and no other. */
  expectRoutes(): void;
  /** The route that serves the request, if there is one. */
  routeOf(method: string, target: string): RouteShape | undefined;
  /** Expects the answer to be described, with its headers, content type and schema. */
  expectAnswer(what: string, method: string, route: RouteShape, answer: Answer): void;
  /** Expects that every answer the document describes was seen, but for statuses that only other tests provoke. */
  expectAllSeen(elsewhere: ReadonlySet<string>): void;
}

const escaped = (step: string): string => step.replaceAll('~', '~0').replaceAll('/', '~1');

/** @param name in docs/api. */
export async function openApiDocument(name: string, routes: readonly RouteShape[]): Promise<ApiDocument> {
  const file = fileURLToPath(new URL(`../../docs/api/${name}`, import.meta.url));
  const document = parse(await readFile(file, 'utf8')) as Json;
  const ajv = new Ajv2020({ strict: false, schemas: [{ $id: 'doc', ...document }] });
  const seen = new Set<string>();

  /** The part of the document that a reference names, and where it stands. */
  const resolve = (value: Json, pointer: string): [Json, string] => {
    const target: unknown = value.$ref;
    if (typeof target !== 'string') return [value, pointer];
    const steps = target.slice(2).split('/');
    return resolve(
      steps.reduce((part, step) => part[step]!, document),
      target,
    );
  };

  const expectHeaders = (what: string, response: Json, pointer: string, answer: Answer): void => {
    for (const [header, described] of Object.entries(response.headers ?? {})) {
      const [{ schema }, where] = resolve(described, `${pointer}/headers/${escaped(header)}`);
      expect(schema, where).toBeDefined();
      const value = answer.headers[header.toLowerCase()];
      expect(ajv.validate({ $ref: `doc${where}/schema` }, value), `${what}: ${header}: ${value}`).toBe(true);
    }
  };

  const expectBody = (what: string, response: Json, pointer: string, { headers, body }: Answer): void => {
    const type = headers['content-type']!.split(';')[0]!;
    const types = Object.keys(response.content!);
    if (!types.includes('*/*')) expect(types, what).toContain(type);
    if (type !== 'application/json' || !types.includes(type)) return;
    const schema = { $ref: `doc${pointer}/content/${escaped(type)}/schema` };
    expect(ajv.validate(schema, JSON.parse(body.toString())), `${what}: ${ajv.errorsText()}`).toBe(true);
  };

  return {
    async validate() {
      expect(await new Validator().validate(structuredClone(document) as never)).toMatchObject({
        valid: true,
      });
    },
    expectRoutes() {
      const documented = Object.entries(document.paths!).flatMap(([path, item]) =>
        ['get', 'put', 'post', 'delete']
          .filter((method) => method in item)
          .map((method) => `${method.toUpperCase()} ${path}`),
      );
      const served = routes.flatMap(({ pattern, methods }) =>
        Object.keys(methods)
          .filter((method) => method !== 'HEAD')
          .map((method) => `${method} ${pattern}`),
      );
      expect(documented.sort()).toEqual(served.sort());
    },
    routeOf(method, target) {
      const path = target.replace(/^http:\/\/[^/]*/, '').replace(/\?.*/, '');
      const route = routes.find(({ match }) => match(path) !== undefined);
      return route !== undefined && method in route.methods ? route : undefined;
    },
    expectAnswer(what, method, { pattern }, answer) {
      const item = document.paths![pattern]!;
      const verb = method === 'HEAD' && !('head' in item) ? 'get' : method.toLowerCase();
      const at = `#/paths/${escaped(pattern)}/${verb}/responses/${answer.status}`;
      const described = item[verb]!.responses![answer.status];
      expect(described, `${what}: ${at} is not documented`).toBeDefined();
      seen.add(at);
      const [response, pointer] = resolve(described!, at);
      expectHeaders(what, response, pointer, answer);
      if (method === 'HEAD' || response.content === undefined) expect(answer.body.length, what).toBe(0);
      else expectBody(what, response, pointer, answer);
    },
    expectAllSeen(elsewhere) {
      const documented = Object.entries(document.paths!).flatMap(([path, item]) =>
        Object.entries(item).flatMap(([verb, operation]) =>
          Object.keys(operation.responses ?? {}).map(
            (status) => `#/paths/${escaped(path)}/${verb}/responses/${status}`,
          ),
        ),
      );
      expect(documented.filter((at) => !seen.has(at) && !elsewhere.has(at.slice(-3)))).toEqual([]);
    },
  };
}
