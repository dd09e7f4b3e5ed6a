/** One table, for the terminal and for Markdown. */

/** Pads the cells to columns: the first to the left, numbers to the right. `rows` has the head first. */
function columns(rows: readonly (readonly string[])[]): string[][] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))));
}

/** The table with blanks between its columns. */
export function textTable(rows: readonly (readonly string[])[]): string {
  const lines = columns(rows).map((row) => row.join('  ').trimEnd());
  const rule = '-'.repeat(Math.max(...lines.map((line) => line.length)));
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}

/** The table in Markdown, numbers aligned to the right. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const [head, ...body] = columns(rows).map((row) => `| ${row.join(' | ')} |`);
  const rule = `|${rows[0]!.map((_, i) => (i === 0 ? ' --- ' : ' ---: ')).join('|')}|`;
  return [head, rule, ...body].join('\n');
}
