import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { REPOSITORY } from '../support/node-red-package.ts';

export const LANGUAGES = ['en-US', 'de', 'ja'] as const;
export type Language = (typeof LANGUAGES)[number];

/** The html of one set, node or editor plugin, in its parts. */
export interface FormFile {
  stem: string;
  html: string;
  template: string;
  scripts: string[];
}

interface Manifest {
  'node-red': { nodes: Record<string, string>; plugins?: Record<string, string> };
}

export const manifest: Manifest = JSON.parse(read('package.json'));
export const nodeStems = Object.keys(manifest['node-red'].nodes);
export const allStems = globSync('nodes/*.html', { cwd: REPOSITORY }).map((path) => basename(path, '.html'));
export const pluginStems = allStems.filter((stem) => !nodeStems.includes(stem));

export function read(path: string): string {
  return readFileSync(join(REPOSITORY, path), 'utf8');
}

export function formFile(stem: string): FormFile {
  const html = read(`nodes/${stem}.html`);
  const template = /<script type="text\/html" data-template-name="[^"]+">([\s\S]*?)<\/script>/.exec(html);
  const scripts = Array.from(html.matchAll(/<script type="text\/javascript">([\s\S]*?)<\/script>/g));
  return { stem, html, template: template?.[1] ?? '', scripts: scripts.map((match) => match[1] ?? '') };
}

/** A catalogue as a flat table of `section.key` to text. */
export function catalogue(stem: string, language: Language): Map<string, string> {
  const flat = new Map<string, string>();
  const walk = (value: unknown, path: string): void => {
    if (typeof value === 'string') flat.set(path, value);
    else
      for (const [key, inner] of Object.entries(value as object)) walk(inner, path ? `${path}.${key}` : key);
  };
  walk(JSON.parse(read(`nodes/locales/${language}/${stem}.json`)), '');
  return flat;
}

export function help(stem: string, language: Language): string {
  return read(`nodes/locales/${language}/${stem}.html`);
}

/** The sources of the nodes at run time, by path. */
export function runtimeSources(): Map<string, string> {
  const paths = globSync('nodes/**/*.ts', { cwd: REPOSITORY });
  return new Map(paths.map((path) => [path, read(path)]));
}
