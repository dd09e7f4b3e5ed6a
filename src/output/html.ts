/** Text as HTML: nothing that a host says can be more than words. */
import { escapeText } from './escape.ts';

const NAMES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text and for attributes in quotes. Controls and what turns the direction of writing become visible first. */
export function html(text: string): string {
  return escapeText(text).replace(/[&<>"']/g, (character) => NAMES[character]!);
}
