/** How the page of a report looks, by day and by night, on a telephone and on paper. */
export const REPORT_STYLE = `
:root{color-scheme:light dark;--ink:#1c2024;--soft:#5b6069;--paper:#fff;--card:#f6f7f9;--line:#dfe2e6;--ok:#2f9e6e;--failed:#d64545;--unreached:#d98a1f;--rest:#8b8fa3;--phase:#4c7fd6;--run:#6b50c8}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#a3a9b1;--paper:#15171a;--card:#1e2125;--line:#363a41;--ok:#4cc38a;--failed:#f2686b;--unreached:#f0ac4c;--rest:#7d8297;--phase:#6ea0f5;--run:#b39bff}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:960px;margin:0 auto;padding:24px 16px}
h1{font-size:22px;margin:0 0 8px;overflow-wrap:anywhere}h2{font-size:16px;margin:0 0 10px}h3{font-size:15px;margin:0}
section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:16px;margin:16px 0}
pre,code{font:13px/1.45 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
pre{margin:8px 0 0;max-height:420px;overflow:auto;tab-size:8}
.job{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 14px}
dl{display:flex;flex-wrap:wrap;gap:6px 28px;margin:14px 0}dt{color:var(--soft);font-size:13px}dd{margin:0;font-weight:600;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:600;vertical-align:top;padding:3px 14px 3px 0}
thead th{color:var(--soft);font-size:13px;font-weight:400}td{vertical-align:top;padding:3px 14px 3px 0}td:last-child{padding-right:0}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.w{width:65%}
.whole{display:flex;gap:1px;height:20px;margin:0 0 12px;border-radius:4px;overflow:hidden}.whole span{min-width:3px;flex-basis:0}
.bar{display:block;height:14px;margin-top:4px;border-radius:3px}
.ok{background:var(--ok)}.failed{background:var(--failed)}.unreached{background:var(--unreached)}.rest{background:var(--rest)}
i{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:6px}i.line{background:var(--run);height:3px;vertical-align:3px}
article{display:grid;grid-template-columns:235px 1fr;gap:0 16px;padding:8px 0;border-top:1px solid var(--line)}
article:first-of-type,details:first-of-type{border-top:0}article h3{overflow-wrap:anywhere}article b{font-variant-numeric:tabular-nums;margin-right:8px}
article p,.soft{margin:2px 0 0;color:var(--soft);overflow-wrap:anywhere}
.hosts{display:block;max-height:9.4em;overflow:auto;user-select:all}
figure{margin:0;min-width:0}figcaption{font-weight:600}
.scale{display:flex;justify-content:space-between;gap:8px;color:var(--soft);font-size:12px;line-height:1.6;font-variant-numeric:tabular-nums}
svg{display:block;width:100%;height:150px;border-top:1px dashed var(--line);border-bottom:1px solid var(--soft)}.grid svg{height:90px}
rect.ok{fill:var(--ok)}rect.failed{fill:var(--failed)}rect.phase{fill:var(--phase)}rect.hit{fill:transparent}rect.hit:hover{fill:var(--soft);fill-opacity:.2}
.running{fill:none;stroke:var(--run);stroke-width:1.6;vector-effect:non-scaling-stroke}
.legend,.more,footer{color:var(--soft);font-size:13px;margin:6px 0 0}.legend span{display:inline-block;margin-right:14px}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr));gap:20px 28px}
details{border-top:1px solid var(--line);padding:8px 0}summary{cursor:pointer;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
summary b{margin-right:10px}summary code{white-space:nowrap;color:var(--soft)}details .hosts{margin:6px 0 0;color:var(--soft)}
footer{text-align:right}
@media(max-width:640px){main{padding:14px 10px}section{padding:12px}article{grid-template-columns:1fr}.w{width:45%}td,th{padding-right:10px}}
@media print{pre,.hosts{max-height:none}section{break-inside:avoid}}
`;
