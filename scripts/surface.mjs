// Checks that whoever uses the package can name every type it meets: what an exported declaration mentions of src/ is
// exported too, by one entry point of package.json or another. Prints what is missing and exits 1.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { SyntaxKind } from 'typescript/unstable/ast';
import { API, SymbolFlags } from 'typescript/unstable/sync';
import { ROOT } from './house.mjs';

const SRC = join(ROOT, 'src');
/** A name of these is no type to be exported: a parameter of one, or a whole module. */
const NO_EXPORT = SymbolFlags.TypeParameter | SymbolFlags.ValueModule;

const { exports: entries } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const modules = Object.values(entries).flatMap(({ types }) =>
  types === undefined ? [] : join(SRC, relative('./dist', types).replace(/\.d\.ts$/, '.ts')),
);

const api = new API({ cwd: ROOT });
const project = api.updateSnapshot({ openProjects: [join(ROOT, 'tsconfig.json')] }).getProjects()[0];
const { checker, program } = project;
const meant = (symbol) => (symbol.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol);

const exported = new Map();
for (const module of modules) {
  for (const symbol of checker.getExportsOfModule(
    checker.getSymbolAtLocation(program.getSourceFile(module)),
  )) {
    const { id, declarations } = meant(symbol);
    exported.set(id, { name: symbol.name, declarations });
  }
}

/** By what is missing: who mentions it. */
const missing = new Map();
for (const { name, declarations } of exported.values())
  for (const declaration of declarations) look(declaration.resolve(project), name);
api.close();

for (const [what, by] of missing)
  console.error(`${what} is not exported, and ${[...by].join(', ')} mentions it`);
console.log(`surface: ${exported.size} exports, ${missing.size} types that cannot be named`);
if (missing.size > 0) process.exitCode = 1;

/** Looks at what a declaration file would show of a node: no bodies, no private members, no values that have a type. */
function look(node, owner) {
  if (node.name?.kind === SyntaxKind.PrivateIdentifier) return;
  const mentioned = nameIn(node);
  if (mentioned) note(mentioned, owner);
  node.forEachChild((child) => {
    if (child === node.body || (child === node.initializer && node.type)) return;
    look(child, owner);
  });
}

function nameIn(node) {
  switch (node.kind) {
    case SyntaxKind.TypeReference:
      return node.typeName;
    case SyntaxKind.TypeQuery:
      return node.exprName;
    case SyntaxKind.ExpressionWithTypeArguments:
      return node.expression;
    default:
      return undefined;
  }
}

function note(name, owner) {
  const found = checker.getSymbolAtLocation(name);
  if (!found) return;
  const { id, name: called, flags, declarations } = meant(found);
  const path = declarations[0] && relative(SRC, declarations[0].path);
  if (exported.has(id) || flags & NO_EXPORT) return;
  if (path === undefined || path.startsWith('..')) return;
  const what = `${called} of src/${path}`;
  missing.set(what, (missing.get(what) ?? new Set()).add(owner));
}
