/** Wildcards: `*` for any characters, `?` for one; the rest of a mask stands for itself. */

/** Whether the text fits the mask, in at most their lengths multiplied: a star that took too little takes one more. */
export function fits(text: string, mask: string): boolean {
  let at = 0;
  let place = 0;
  let star = -1;
  let taken = 0;
  while (at < text.length) {
    if (mask[place] === '*') {
      star = place++;
      taken = at;
    } else if (place < mask.length && (mask[place] === '?' || mask[place] === text[at])) {
      place++;
      at++;
    } else if (star >= 0) {
      place = star + 1;
      at = ++taken;
    } else return false;
  }
  while (mask[place] === '*') place++;
  return place === mask.length;
}

export function isWild(text: string): boolean {
  return text.includes('*') || text.includes('?');
}
