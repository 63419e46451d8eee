// Reads the built declarations: what each entry point exports, and what occurs in it.
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAst } from 'rolldown/parseAst';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

/** Module names and the files of their declarations. */
export const ENTRIES = Object.entries(exports)
  .filter(([, target]) => typeof target === 'object')
  .map(([path, { types }]) => ({ name: join('holdfast', path), file: join(ROOT, types) }));

const files = new Map();

/** One file of declarations: what it declares, imports and exports, by name. */
export function fileOf(path) {
  const known = files.get(path);
  if (known !== undefined) return known;
  const text = readFileSync(path, 'utf8');
  const { body } = parseAst(text, { lang: 'dts' }, path);
  const file = { path, text, declared: new Map(), imported: new Map(), exported: new Map() };
  files.set(path, file);
  for (const statement of body) readStatement(file, statement);
  return file;
}

function readStatement(file, statement) {
  const { type, declaration, source, specifiers = [] } = statement;
  const from = source && pathOf(file.path, source.value);
  if (type === 'ImportDeclaration') {
    for (const { type: kind, imported, local } of specifiers) {
      const name = kind === 'ImportNamespaceSpecifier' ? '*' : (imported?.name ?? 'default');
      file.imported.set(local.name, { from, name, module: source.value });
    }
  } else if (type === 'ExportNamedDeclaration' && declaration === null) {
    for (const { local, exported } of specifiers)
      file.exported.set(exported.name, from ? { from, name: local.name } : { name: local.name });
  } else if (type === 'ExportNamedDeclaration') {
    for (const name of declare(file, declaration, statement.start)) file.exported.set(name, { name });
  } else if (type !== 'ExportAllDeclaration') {
    declare(file, statement, statement.start);
  }
}

function declare(file, node, start) {
  const names =
    node.type === 'VariableDeclaration' ? node.declarations.map(({ id }) => id.name) : [node.id?.name];
  for (const name of names.filter(Boolean)) {
    const before = file.declared.get(name);
    if (before === undefined) file.declared.set(name, { file, name, nodes: [node], start, end: node.end });
    else Object.assign(before, { nodes: [...before.nodes, node], end: node.end });
  }
  return names;
}

/** The declarations of another module of ours; undefined for a package. */
const pathOf = (path, module) =>
  module.startsWith('.') ? resolve(dirname(path), module.replace(/(\.d)?\.[jt]s$/, '.d.ts')) : undefined;

/** Where a name that a file exports is declared. */
export function declarationOf(path, name) {
  const file = fileOf(path);
  const exported = file.exported.get(name);
  if (exported === undefined) throw new Error(`${path} does not export ${name}`);
  if (exported.from !== undefined) return declarationOf(exported.from, exported.name);
  return inFile(file, exported.name);
}

function inFile(file, name) {
  const own = file.declared.get(name);
  if (own !== undefined) return own;
  const imported = file.imported.get(name);
  return imported?.from === undefined || imported.name === '*'
    ? undefined
    : declarationOf(imported.from, imported.name);
}

/** What an entry point exports: names, and where each is declared. */
export function exportsOf({ file }) {
  return [...fileOf(file).exported.keys()]
    .sort()
    .map((name) => ({ name, declaration: declarationOf(file, name) }));
}

/** Names of types that occur in a declaration and are declared by us, with where. */
export function* mentionedIn({ file, nodes }) {
  for (const { name, bound } of nodes.flatMap((node) => [...references(node, new Set())])) {
    if (bound.has(name)) continue;
    const { from, name: imported } = file.imported.get(name) ?? {};
    // `typeof` of all that a module exports says what each of them is.
    if (from !== undefined && imported === '*')
      for (const each of exportsOf({ file: from })) yield* mentionedIn(each.declaration);
    const declaration = inFile(file, name);
    if (declaration !== undefined) yield declaration;
  }
}

/** Every reference to a type or, by `typeof`, to a value; `bound` are type parameters in force. */
function* references(node, bound) {
  if (Array.isArray(node)) {
    for (const item of node) yield* references(item, bound);
    return;
  }
  if (typeof node !== 'object' || node === null) return;
  const inner = new Set([...bound, ...parametersOf(node)]);
  const name = referred(node);
  if (name !== undefined) yield { name, bound: inner };
  for (const [key, value] of Object.entries(node)) if (key !== 'parent') yield* references(value, inner);
}

function parametersOf({ type, typeParameters, typeParameter, key, extendsType }) {
  const names = (typeParameters?.params ?? []).map(({ name }) => name.name ?? name);
  if (type === 'TSMappedType') names.push(key?.name ?? typeParameter?.name?.name);
  if (type === 'TSConditionalType') names.push(...inferred(extendsType));
  return names;
}

function inferred(node) {
  if (typeof node !== 'object' || node === null) return [];
  const own = node.type === 'TSInferType' ? [node.typeParameter.name.name] : [];
  return [
    ...own,
    ...Object.values(node).flatMap((value) => (Array.isArray(value) ? value : [value]).flatMap(inferred)),
  ];
}

function referred({ type, typeName, exprName, expression }) {
  if (type === 'TSTypeReference') return first(typeName);
  if (type === 'TSTypeQuery') return first(exprName);
  if (type === 'TSInterfaceHeritage' || type === 'TSClassImplements') return first(expression);
  return undefined;
}

const first = (name) => (name?.type === 'TSQualifiedName' ? first(name.left) : name?.name);
