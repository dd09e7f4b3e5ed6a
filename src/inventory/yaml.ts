/** YAML as inventories have it: scalars stay the text that is written, whatever they may mean to others. */
import { createRequire } from 'node:module';
import { problem } from './problem.ts';

type Yaml = typeof import('js-yaml');

/** What a value becomes that only its owner can read (`!vault`). */
export const SECRET: unique symbol = Symbol('secret');

let loaded: ((text: string) => readonly unknown[]) | undefined;

/** The document as strings, arrays and Maps; undefined where there is none. Throws `inventory` with line and column. */
export function parseYaml(text: string, title: string): unknown {
  loaded ??= load();
  let documents: readonly unknown[];
  try {
    documents = loaded(text);
  } catch (cause) {
    const { reason, mark, message } = cause as {
      reason?: string;
      message: string;
      mark?: Record<'line' | 'column', number>;
    };
    const place = mark ? `line ${mark.line + 1}, column ${mark.column + 1}: ` : '';
    throw problem(title, `${place}${reason ?? message.split('\n')[0]}`, cause);
  }
  if (documents.length > 1) throw problem(title, `it has ${documents.length} YAML documents; expected one`);
  return documents[0];
}

/** Loaded with the first file, by the thread that needs it: 10 ms. */
function load(): (text: string) => readonly unknown[] {
  const yaml = createRequire(import.meta.url)('js-yaml') as Yaml;
  const vault = yaml.defineScalarTag('!vault', { resolve: () => SECRET, identify: () => false });
  const unsafe = yaml.defineScalarTag('!unsafe', { resolve: (source) => source, identify: () => false });
  const schema = yaml.FAILSAFE_SCHEMA.withTags(yaml.mergeTag, yaml.realMapTag, yaml.nullCoreTag, vault, unsafe);
  return (text) => yaml.loadAll(text, { schema, json: true, maxDepth: 50 });
}
