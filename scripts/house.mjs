// The source tree as the checks see it: files with their lines, imports and functions, read with TypeScript's own parser.
import { dirname, join, posix, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SyntaxKind } from 'typescript/unstable/ast';
import { API } from 'typescript/unstable/sync';

/** The folder of the repository. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');

const FUNCTIONS = new Set([
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.FunctionExpression,
  SyntaxKind.ArrowFunction,
  SyntaxKind.MethodDeclaration,
  SyntaxKind.Constructor,
  SyntaxKind.GetAccessor,
  SyntaxKind.SetAccessor,
]);

/**
 * Every file of `src/` under `root`, by its path from `src/`: `{ path, lines, imports, functions }`. An import leads to
 * a file of the tree (`to`) or to a package (`name`); `type` says that nothing of it is left at run time. A function is
 * as long as its text, functions inside included.
 */
export function readHouse(root = ROOT) {
  const src = join(root, 'src');
  const api = new API({ cwd: root });
  try {
    const project = api.updateSnapshot({ openProjects: [join(root, 'tsconfig.json')] }).getProjects()[0];
    const files = new Map();
    for (const name of project.program.getSourceFileNames().toSorted()) {
      const path = relative(src, name).split('\\').join('/');
      if (path.startsWith('..') || path.endsWith('.d.ts')) continue;
      files.set(path, readFile(path, project.program.getSourceFile(name)));
    }
    return files;
  } finally {
    api.close();
  }
}

function readFile(path, source) {
  const lineAt = lineCounter(source.text);
  const imports = [];
  const functions = [];
  const visit = (node) => {
    const line = () => lineAt(node.getStart(source));
    const arrow = arrowOf(node);
    if (arrow) {
      const { specifier, type } = arrow;
      const target = specifier.startsWith('.')
        ? { to: posix.join(posix.dirname(path), specifier) }
        : { name: specifier };
      imports.push({ ...target, type, line: line() });
    }
    if (FUNCTIONS.has(node.kind) && node.body)
      functions.push({ name: nameOf(node), line: line(), lines: lineAt(node.end - 1) - line() + 1 });
    node.forEachChild(visit);
  };
  visit(source);
  return { path, lines: lineAt(source.text.trimEnd().length), imports, functions };
}

/** The module that a node brings in, if it does: import and export declarations, `import()` as a value and as a type. */
function arrowOf(node) {
  switch (node.kind) {
    case SyntaxKind.ImportDeclaration:
      return {
        specifier: node.moduleSpecifier.text,
        type: node.importClause?.phaseModifier === SyntaxKind.TypeKeyword,
      };
    case SyntaxKind.ExportDeclaration:
      return node.moduleSpecifier && { specifier: node.moduleSpecifier.text, type: node.isTypeOnly };
    case SyntaxKind.ImportType:
      return { specifier: node.argument.literal.text, type: true };
    case SyntaxKind.CallExpression: {
      const [argument] = node.arguments;
      if (node.expression.kind !== SyntaxKind.ImportKeyword) return undefined;
      return argument.kind === SyntaxKind.StringLiteral && { specifier: argument.text, type: false };
    }
    default:
      return undefined;
  }
}

function nameOf(node) {
  if (node.kind === SyntaxKind.Constructor) return 'constructor';
  return node.name?.text ?? node.parent?.name?.text ?? '(no name)';
}

function lineCounter(text) {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (position) => {
    let low = 0;
    for (let high = starts.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= position) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}

/**
 * Circles between files, and between the rooms of each folder: a room is a file or a whole folder in it. Each is the
 * shortest way round, as arrows `{ from, to, type, by }` with the import that draws it; one for every knot of rooms.
 */
export function circlesOf(files) {
  const folders = new Map();
  for (const { path, imports } of files.values()) {
    for (const { to, type, line } of imports) {
      if (!files.has(to)) continue;
      const { folder, from, into } = roomsOf(path, to);
      if (from === into) continue;
      const arrows = entry(entry(folders, folder, Map), from, Map);
      if (arrows.get(into)?.type ?? true) arrows.set(into, { type, by: `${path}:${line}` });
    }
  }
  return [...folders.values()].flatMap((graph) => shortestCircles(graph));
}

/** The deepest folder that holds both files, and the rooms of it in which they are. */
function roomsOf(path, to) {
  const a = path.split('/');
  const b = to.split('/');
  let depth = 0;
  while (a[depth] === b[depth] && depth < Math.min(a.length, b.length) - 1) depth++;
  const room = (parts) => parts.slice(0, depth + 1).join('/');
  return { folder: a.slice(0, depth).join('/'), from: room(a), into: room(b) };
}

function entry(map, key, Kind) {
  if (!map.has(key)) map.set(key, new Kind());
  return map.get(key);
}

function shortestCircles(graph) {
  const circles = [];
  const seen = new Set();
  for (const start of graph.keys()) {
    if (seen.has(start)) continue;
    const circle = wayRound(graph, start);
    if (!circle) continue;
    const within = arrowsFrom(graph, start);
    for (const room of within.keys()) if (arrowsFrom(graph, room).has(start)) seen.add(room);
    circles.push(circle);
  }
  return circles;
}

/** The shortest way from a room back to itself, if there is one. */
function wayRound(graph, start) {
  const cameBy = arrowsFrom(graph, start);
  const circle = [];
  for (
    let arrow = cameBy.get(start);
    arrow;
    arrow = arrow.from === start ? undefined : cameBy.get(arrow.from)
  )
    circle.unshift(arrow);
  return circle.length > 0 ? circle : undefined;
}

/** Every room that arrows lead to from here, with the last arrow of the shortest way: breadth first. */
function arrowsFrom(graph, start) {
  const cameBy = new Map();
  const queue = [start];
  for (let room = queue.shift(); room !== undefined; room = queue.shift()) {
    for (const [to, arrow] of graph.get(room) ?? []) {
      if (cameBy.has(to)) continue;
      cameBy.set(to, { from: room, to, ...arrow });
      queue.push(to);
    }
  }
  return cameBy;
}
