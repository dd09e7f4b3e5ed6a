/** The patterns of ssh_config: `*` any run of characters, `?` any one; lists with commas and `!`. */

const WILDCARD = /[*?]/;
/** OpenSSH's limit: a longer pattern of a list makes the list match nothing. */
const MAX_LISTED = 1023;

export function hasWildcard(pattern: string): boolean {
  return WILDCARD.test(pattern);
}

const STAR = 42;
const QUESTION = 63;

/** On a mismatch only the last star is widened, so the cost is at most |pattern| × |text|. */
export function matchPattern(text: string, pattern: string): boolean {
  let at = 0;
  let from = 0;
  let star = -1;
  let starAt = 0;
  while (at < text.length) {
    const char = from < pattern.length ? pattern.charCodeAt(from) : -1;
    if (char === STAR) {
      star = ++from;
      starAt = at;
    } else if (char === QUESTION || char === text.charCodeAt(at)) {
      from++;
      at++;
    } else if (star >= 0) {
      from = star;
      at = ++starAt;
    } else {
      return false;
    }
  }
  while (pattern.charCodeAt(from) === STAR) from++;
  return from === pattern.length;
}

/** A test of one pattern; names without wildcards are compared. */
export function patternTest(pattern: string): (text: string) => boolean {
  return hasWildcard(pattern) ? (text) => matchPattern(text, pattern) : (text) => text === pattern;
}

/** A test of a list with commas: whether a pattern matches and no `!pattern` does. */
export function listTest(list: string): (text: string) => boolean {
  const wanted: ((text: string) => boolean)[] = [];
  const refused: ((text: string) => boolean)[] = [];
  for (const item of list.split(',')) {
    const negated = item.startsWith('!');
    const pattern = negated ? item.slice(1) : item;
    // OpenSSH gives up at a pattern that is too long, and the list matches nothing unless it refused before.
    if (pattern.length > MAX_LISTED) return () => false;
    (negated ? refused : wanted).push(patternTest(pattern));
  }
  return (text) => wanted.some((test) => test(text)) && !refused.some((test) => test(text));
}

/** As `listTest`, without regard to the case of letters. */
export function hostListTest(list: string): (text: string) => boolean {
  const test = listTest(list.toLowerCase());
  return (text) => test(text.toLowerCase());
}

export function matchPatternList(text: string, list: string): boolean {
  return listTest(list)(text);
}

export function matchHostList(text: string, list: string): boolean {
  return hostListTest(list)(text);
}
