/** What the doctor found, for people: a line each, the line that mends it below, then the settings in force. */
import { escapeText } from './escape.ts';
import { wrap } from './summary.ts';

/** As `myriad doctor --output json` gives it. */
export interface DiagnosisView {
  readonly version: string;
  readonly findings: {
    readonly area: string;
    readonly state: 'ok' | 'warning' | 'problem';
    readonly what: string;
    readonly fix: string;
  }[];
  readonly settings: {
    readonly verb: string;
    readonly profile: string | null;
    readonly files: readonly { readonly layer: string; readonly file: string }[];
    /** The strongest first. */
    readonly options: readonly {
      readonly name: string;
      /** None for an option that takes no value. */
      readonly values: readonly string[];
      readonly place: string;
      readonly layer: string;
      readonly profile: string | null;
    }[];
  };
}

/** `columns`: of the terminal; lines that mend something are never broken. */
export function doctorText({ version, findings, settings }: DiagnosisView, columns?: number): string {
  const [area, state] = [widthOf(findings.map((each) => each.area)), widthOf(findings.map((each) => each.state))];
  const lines = [`myriad ${version}`];
  for (const each of findings) {
    const indent = ' '.repeat(area + state + 4);
    const [first = '', ...rest] = wrap(escapeText(each.what).split(' '), indent, columns);
    lines.push(`${each.area.padEnd(area)}  ${each.state.padEnd(state)}  ${first.slice(indent.length)}`, ...rest);
    // The spaces in front stay a shell's own, so that the line can be copied.
    if (each.fix !== '') lines.push(`${indent}fix: ${escapeText(each.fix)}`);
  }
  const { verb, profile, options } = settings;
  if (options.length === 0) return text(lines);
  lines.push(
    '',
    `settings of ${verb}${profile === null ? '' : `, profile ${escapeText(profile)}`}, the strongest first:`,
  );
  const rows = options
    .map(({ name, values }) => `${name}${values.length > 0 ? `: ${values.join(' ')}` : ''}`)
    .map(escapeText);
  const width = Math.min(40, widthOf(rows));
  for (const [at, row] of rows.entries()) {
    const { place, profile: of } = options[at]!;
    lines.push(`  ${row.padEnd(width)}  ${escapeText(place)}${of === null ? '' : ` (profile ${escapeText(of)})`}`);
  }
  return text(lines);
}

function widthOf(texts: readonly string[]): number {
  return Math.max(0, ...texts.map(({ length }) => length));
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
