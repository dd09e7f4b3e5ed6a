/** YAML as settings have it: mappings, lists and texts, each with its place; no tags, no anchors. */
import { createRequire } from 'node:module';
import { MyriadError } from '../../index.ts';

type Yaml = typeof import('js-yaml');

export type Node = Scalar | List | Mapping;

interface Placed {
  /** Offset in the text. */
  readonly at: number;
}

export interface Scalar extends Placed {
  readonly kind: 'scalar';
  readonly text: string;
  /** Nothing is written there. */
  readonly empty: boolean;
}

export interface List extends Placed {
  readonly kind: 'list';
  readonly items: readonly Node[];
}

export interface Mapping extends Placed {
  readonly kind: 'mapping';
  readonly entries: readonly Entry[];
}

export interface Entry extends Placed {
  readonly key: string;
  readonly value: Node;
}

/** A text with its name, for messages that say where in it something stands. */
export class Source {
  readonly file: string;
  readonly text: string;

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
  }

  /** `FILE:LINE:COLUMN`. */
  place(at: number): string {
    const before = this.text.slice(0, at);
    const line = before.split('\n').length;
    return `${this.file}:${line}:${at - before.lastIndexOf('\n')}`;
  }

  /** Throws `usage` with the place in front. */
  refuse(at: number, what: string, cause?: unknown): never {
    throw new MyriadError('usage', `${this.place(at)}: ${what}`, { cause });
  }
}

/** Deeper than settings can be. */
const MAX_DEPTH = 8;

/** Undefined: there is nothing in it. Throws `usage`. */
export function parseSettings(source: Source): Mapping | undefined {
  const yaml = createRequire(import.meta.url)('js-yaml') as Yaml;
  const root = new Builder(yaml, source).build();
  if (root === undefined || (root.kind === 'scalar' && root.empty)) return undefined;
  if (root.kind === 'mapping') return root;
  return source.refuse(root.at, 'expected "option: value" lines');
}

type Event = ReturnType<Yaml['parseEvents']>[number];
type ScalarEvent = Extract<Event, { readonly valueStart: number }>;

class Builder {
  readonly #yaml: Yaml;
  readonly #source: Source;
  #events: Event[] = [];
  #next = 0;

  constructor(yaml: Yaml, source: Source) {
    this.#yaml = yaml;
    this.#source = source;
  }

  build(): Node | undefined {
    this.#events = this.#parse();
    const documents = this.#events.filter(({ type }) => type === this.#yaml.EVENT_DOCUMENT).length;
    if (documents > 1) this.#source.refuse(0, `it has ${documents} YAML documents; expected one`);
    if (documents === 0) return undefined;
    this.#next = 1;
    return this.#peek().type === this.#yaml.EVENT_POP ? undefined : this.#node(0);
  }

  #parse(): Event[] {
    try {
      return this.#yaml.parseEvents(this.#source.text, { maxDepth: MAX_DEPTH });
    } catch (cause) {
      const { reason, message, mark } = cause as { reason?: string; message: string; mark?: { position: number } };
      return this.#source.refuse(mark?.position ?? 0, reason ?? message.split('\n')[0]!, cause);
    }
  }

  #peek(): Event {
    return this.#events[this.#next]!;
  }

  #node(before: number): Node {
    const event = this.#peek();
    this.#next += 1;
    if (event.type === this.#yaml.EVENT_SCALAR) return this.#scalar(event as ScalarEvent, before);
    if (event.type === this.#yaml.EVENT_SEQUENCE) return this.#list(event as Collection);
    if (event.type === this.#yaml.EVENT_MAPPING) return this.#mapping(event as Collection);
    return this.#source.refuse(before, 'anchors and aliases are not taken; write it out');
  }

  #plain({ anchorStart, tagStart }: Marks): void {
    if (anchorStart >= 0) this.#source.refuse(anchorStart - 1, 'anchors and aliases are not taken; write it out');
    if (tagStart >= 0) this.#source.refuse(tagStart, 'tags are not taken; write the value alone');
  }

  #scalar(event: ScalarEvent, before: number): Scalar {
    this.#plain(event);
    const text = this.#yaml.getScalarValue(this.#source.text, event);
    const isPlain = event.style === this.#yaml.SCALAR_STYLE_PLAIN;
    return {
      kind: 'scalar',
      text,
      empty: isPlain && /^(?:|~|null)$/.test(text),
      at: Math.max(event.valueStart, before),
    };
  }

  #list(event: Collection): List {
    this.#plain(event);
    const items: Node[] = [];
    while (this.#peek().type !== this.#yaml.EVENT_POP) items.push(this.#node(event.start));
    this.#next += 1;
    return { kind: 'list', items, at: event.start };
  }

  #mapping(event: Collection): Mapping {
    this.#plain(event);
    const entries: Entry[] = [];
    while (this.#peek().type !== this.#yaml.EVENT_POP) {
      const key = this.#node(event.start);
      if (key.kind !== 'scalar' || key.empty) this.#source.refuse(key.at, 'expected the name of an option');
      const { text, at } = key as Scalar;
      if (entries.some((entry) => entry.key === text)) this.#source.refuse(at, `"${text}" stands there twice`);
      entries.push({ key: text, at, value: this.#node(at) });
    }
    this.#next += 1;
    return { kind: 'mapping', entries, at: event.start };
  }
}

interface Marks {
  readonly anchorStart: number;
  readonly tagStart: number;
}

interface Collection extends Marks {
  readonly start: number;
}
