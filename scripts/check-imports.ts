/**
 * Proves what architecture.md says of the house: imports go down the table, folders on one level do not see each other,
 * nothing goes round in a circle, only the face re-exports, no file or function is over its budget, and no function is born old.
 * Usage: node scripts/check-imports.ts [DIRECTORY]    exit status 0 where nothing is found, 1 with a line for each find
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, resolve, sep } from 'node:path';
import { findFunctions, findImports, type ImportSite } from './scan.ts';

/** From the top down. A folder sees the lines below its own; the folders of one line do not see each other. */
const LEVELS: readonly (readonly string[])[] = [
  ['cli'],
  ['index.ts'],
  ['fleet', 'dashboard'],
  ['cluster', 'cdist', 'simulator'],
  ['output'],
  ['engine'],
  ['journal', 'jobs', 'inventory'],
  ['transport'],
  ['hostset', 'ping', 'ssh'],
  ['contracts'],
  ['util'],
];

/** Rooms that see less than what is below them. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  // The command line reaches the engine as everybody does: through the library's face.
  cli: ['index.ts', 'simulator', 'output', 'util'],
  // The SSH client knows nothing of fleets.
  ssh: ['contracts', 'util'],
};

/** The library's face: the only file that gives on what others declare. */
const FACE = 'index.ts';

const MAX_FILE_LINES = 600;
const MAX_FUNCTION_LINES = 80;

/** A test's `describe` is a list, not a function to be read at once: only its file has a budget. */
const SIZED = ['src', 'scripts', 'bench', 'examples', 'test'];
const FUNCTIONS_SIZED = ['src', 'scripts', 'bench', 'examples'];

interface Edge extends ImportSite {
  readonly from: string;
  readonly to: string;
}

/** Every find in the tree under `root` (which holds `src/`), one line each, in the order of the files. */
export function checkTree(root: string): string[] {
  const edges = importsOf(join(root, 'src'));
  const rooms = unknownRooms(join(root, 'src'));
  return [...rooms, ...edges.flatMap(judge), ...cycles(edges), ...sizes(root), ...bornOld(root)];
}

/** `target.stop = (reason) => …` and `list[0] = function …`, `this.#done ??= async () => …`. */
const BORN_OLD = /(\.#?\w+|\]) (=|\?\?=) (async )?(function\b|(\([^()]*\)|\w+)(: [^=]+)? =>)/;

/**
 * V8 allocates a function that is written right behind `property =` in the old generation. What it refers to is then kept by every
 * scavenge until the next full collection: two such lines per host made the client copy all of its connections (12 KB a host,
 * 50 µs and a fifth of the peak memory). A constant in between makes it a young object like any other.
 */
function bornOld(root: string): string[] {
  return sourceFiles(join(root, 'src')).flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line, at) => {
        if (!BORN_OLD.test(line) || /^\s*(\*|\/\/|(const|let|type|readonly|static)\b)/.test(line)) return [];
        const where = relative(root, file).split(sep).join('/');
        return [
          `${where}:${at + 1}: a function assigned straight to a property is born old; name it by a constant first`,
        ];
      }),
  );
}

/** The imports between files under `src`, as paths below it with `/`. */
function importsOf(src: string): Edge[] {
  return sourceFiles(src).flatMap((file) => {
    const from = relative(src, file).split(sep).join('/');
    return findImports(readFileSync(file, 'utf8'))
      .filter((site) => site.specifier.startsWith('.'))
      .map((site) => ({ ...site, from, to: posix.join(posix.dirname(from), site.specifier) }));
  });
}

function sourceFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes(`${sep}node_modules${sep}`))
    .sort();
}

/** The room of a file: its first folder below `src`, or its own name. */
function room(path: string): string {
  return path.split('/')[0] ?? path;
}

function levelOf(name: string): number {
  return LEVELS.findIndex((level) => level.includes(name));
}

function unknownRooms(src: string): string[] {
  const rooms = new Set(sourceFiles(src).map((file) => room(relative(src, file).split(sep).join('/'))));
  return [...rooms]
    .filter((name) => levelOf(name) < 0)
    .map((name) => `src/${name}: has no level; add it to the table in scripts/check-imports.ts`);
}

/** What is wrong with one import, if anything. */
function judge(edge: Edge): string[] {
  const where = `src/${edge.from}:${edge.line}`;
  const finds: string[] = [];
  if (edge.reExport && edge.from !== FACE) finds.push(`${where}: re-exports ${edge.to}; only src/${FACE} may`);
  const [from, to] = [room(edge.from), room(edge.to)];
  const find = from === to ? judgeSiblings(edge) : judgeRooms(from, to);
  if (find) finds.push(`${where}: imports ${edge.to}; ${find}`);
  return finds;
}

function judgeRooms(from: string, to: string): string | undefined {
  if (to === '..') return 'that is outside src';
  const [level, below] = [levelOf(from), levelOf(to)];
  // A room without a level is reported once, not for each of its imports.
  if (level < 0 || below < 0) return undefined;
  if (below < level) return `${to} is above ${from}`;
  if (below === level) return `${to} and ${from} are on one level`;
  const only = ONLY[from];
  if (only && !only.includes(to)) return `${from} sees only ${only.join(', ')}`;
  return undefined;
}

/** Within a room: its folders are implementations, which see the room's own files, not each other. */
function judgeSiblings(edge: Edge): string | undefined {
  const [from, to] = [edge.from.split('/'), edge.to.split('/')];
  if (from.length < 3 || to.length < 3 || from[1] === to[1]) return undefined;
  return `${from[0]}/${from[1]} and ${to[0]}/${to[1]} are siblings`;
}

/** One find per knot of files that import each other, with the shortest way round. */
function cycles(edges: readonly Edge[]): string[] {
  const atRunTime = edges.filter((edge) => !edge.typeOnly);
  const runTime = waysRound(atRunTime);
  const known = new Set(runTime.flat());
  const ofTypes = waysRound(edges).filter((way) => !way.some((file) => known.has(file)));
  return [
    ...runTime.map((way) => `cycle at run time: ${drawn(way)}`),
    ...ofTypes.map((way) => `cycle of types: ${drawn(way)}`),
  ];
}

function drawn(way: readonly string[]): string {
  return [...way, way[0]].map((file) => `src/${file}`).join(' > ');
}

/** Shortest ways round, no file in two of them. */
function waysRound(edges: readonly Edge[]): string[][] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of edges) targets.set(from, [...(targets.get(from) ?? []), to]);
  const ways: string[][] = [];
  const seen = new Set<string>();
  for (const file of targets.keys()) {
    const way = seen.has(file) ? undefined : wayBack(file, targets, seen);
    if (!way) continue;
    ways.push(way);
    for (const member of way) seen.add(member);
  }
  return ways;
}

/** The shortest way from a file back to itself that avoids `closed`: breadth first. */
function wayBack(
  start: string,
  targets: ReadonlyMap<string, readonly string[]>,
  closed: ReadonlySet<string>,
): string[] | undefined {
  const ways: string[][] = [[start]];
  const visited = new Set<string>();
  for (let way = ways.shift(); way; way = ways.shift()) {
    for (const next of targets.get(way.at(-1) ?? '') ?? []) {
      if (next === start) return way;
      if (visited.has(next) || closed.has(next)) continue;
      visited.add(next);
      ways.push([...way, next]);
    }
  }
  return undefined;
}

/** Files and functions over budget. */
function sizes(root: string): string[] {
  return SIZED.flatMap((folder) =>
    sourceFiles(join(root, folder)).flatMap((file) => {
      const text = readFileSync(file, 'utf8');
      const path = relative(root, file).split(sep).join('/');
      const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
      const tooLong = lines > MAX_FILE_LINES ? [`${path}: ${lines} lines; a file has at most ${MAX_FILE_LINES}`] : [];
      if (!FUNCTIONS_SIZED.includes(folder)) return tooLong;
      const functions = findFunctions(text).filter((found) => found.lines > MAX_FUNCTION_LINES);
      const long = functions.map(
        ({ head, line, lines: length }) =>
          `${path}:${line}: "${head}": ${length} lines; a function has at most ${MAX_FUNCTION_LINES}`,
      );
      return [...tooLong, ...long];
    }),
  );
}

if (import.meta.main) {
  const finds = checkTree(resolve(process.argv[2] ?? dirname(import.meta.dirname)));
  for (const find of finds) console.error(find);
  process.exit(finds.length > 0 ? 1 : 0);
}
