import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, resolve } from 'node:path';

/**
 * Dependencies point one way (docs: the layers of design §2): nodes → load, failures → salesforce, database, csv → the
 * words that all of them use, which are the files directly in src/. What stands on one level does not know its neighbours.
 */
const root = resolve(import.meta.dirname, '..');
const LEVELS: Record<string, number> = {
  nodes: 3,
  load: 2,
  failures: 2,
  salesforce: 1,
  database: 1,
  csv: 1,
  words: 0,
};

interface Import {
  from: string;
  specifier: string;
  typeOnly: boolean;
}

const files = globSync('{src,nodes}/**/*.ts', { cwd: root }).map(normalize).sort();
const imports = files.flatMap(importsOf);

/** Static and dynamic imports and re-exports. */
function importsOf(from: string): Import[] {
  const text = readFileSync(join(root, from), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const statement = /^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/gm;
  return [...text.matchAll(statement)].map(([, type, specifier, dynamic]) => ({
    from,
    specifier: specifier ?? dynamic ?? '',
    typeOnly: type !== undefined,
  }));
}

/** The file that a relative import names, or undefined for a package. */
function target({ from, specifier }: Import): string | undefined {
  return specifier.startsWith('.') ? normalize(join(dirname(from), specifier)) : undefined;
}

/** `nodes/shared/x.ts` → nodes, `src/load/x.ts` → load, `src/job.ts` → words. */
function layer(file: string): string {
  const [top = '', second = '', ...rest] = file.split('/');
  if (top !== 'src') return top;
  return rest.length === 0 ? 'words' : second;
}

function mayImport(from: string, to: string): boolean {
  return from === to || (LEVELS[from] ?? -1) > (LEVELS[to] ?? Number.POSITIVE_INFINITY);
}

/** The first cycle, as the files in it. */
function cycle(): string[] | undefined {
  const edges = new Map<string, string[]>();
  for (const one of imports) {
    const to = target(one);
    if (to !== undefined) edges.set(one.from, [...(edges.get(one.from) ?? []), to]);
  }
  const finished = new Set<string>();
  const visit = (file: string, path: string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (finished.has(file)) return undefined;
    for (const next of edges.get(file) ?? []) {
      const found = visit(next, [...path, file]);
      if (found !== undefined) return found;
    }
    finished.add(file);
    return undefined;
  };
  for (const file of files) {
    const found = visit(file, []);
    if (found !== undefined) return found;
  }
  return undefined;
}

describe('the import graph', () => {
  it('is read: files and imports are found', () => {
    assert.ok(files.length > 20, `${files.length} files`);
    assert.ok(imports.length > files.length, `${imports.length} imports`);
  });

  it('has no file in a place without a layer', () => {
    assert.deepEqual(
      files.filter((file) => LEVELS[layer(file)] === undefined),
      [],
    );
  });

  it('points one way', () => {
    const wrong = imports.filter((one) => {
      const to = target(one);
      return to !== undefined && !mayImport(layer(one.from), layer(to));
    });
    assert.deepEqual(
      wrong.map(({ from, specifier }) => `${from} imports ${specifier}`),
      [],
    );
  });

  it('leaves neither src/ nor nodes/ for the sandbox, tests or scripts', () => {
    const outside = imports.filter((one) => {
      const to = target(one);
      return to !== undefined && !to.startsWith('src/') && !to.startsWith('nodes/');
    });
    assert.deepEqual(outside, []);
  });

  it('has no cycles', () => {
    assert.equal(cycle()?.join(' → '), undefined);
  });

  it('keeps Node-RED out of src/', () => {
    const nodeRed = imports.filter(
      ({ from, specifier }) => from.startsWith('src/') && /node-red/.test(specifier),
    );
    assert.deepEqual(nodeRed, []);
    const knowing = files.filter((file) => file.startsWith('src/') && /\bRED\b|\bmsg\./.test(code(file)));
    assert.deepEqual(knowing, []);
  });

  it('brings in production dependencies only', () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const packages = imports
      .filter((one) => target(one) === undefined && !one.specifier.startsWith('node:') && !one.typeOnly)
      .map(({ specifier }) =>
        specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/'),
      );
    assert.deepEqual(
      [...new Set(packages)].filter((name) => dependencies[name] === undefined),
      [],
    );
    assert.ok(Object.keys(dependencies).length <= 6);
  });
});

/** Without comments and texts. */
function code(file: string): string {
  return readFileSync(join(root, file), 'utf8').replaceAll(
    /\/\*[\s\S]*?\*\/|\/\/.*$|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/gm,
    '',
  );
}
