/** How the page of a report looks, by day and by night, and on paper. */
export const REPORT_STYLE = `
:root{color-scheme:light dark;--ink:#1c2024;--soft:#60646c;--paper:#fff;--card:#f6f7f9;--line:#dfe2e6;--ok:#2f9e6e;--failed:#d64545;--unreached:#d98a1f;--rest:#8b8fa3;--phase:#4c7fd6;--run:#6b50c8}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9ba1a9;--paper:#15171a;--card:#1e2125;--line:#32363c;--ok:#4cc38a;--failed:#f2686b;--unreached:#f0ac4c;--rest:#7d8297;--phase:#6ea0f5;--run:#a48bf5}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:900px;margin:0 auto;padding:24px 16px}
h1{font-size:22px;margin:0 0 8px}h2{font-size:16px;margin:0 0 10px}
section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:16px;margin:16px 0}
pre,code{font:13px/1.45 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
pre{margin:8px 0 0;max-height:420px;overflow:auto}
.job{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 14px}
dl{display:flex;flex-wrap:wrap;gap:6px 28px;margin:14px 0}dt{color:var(--soft);font-size:13px}dd{margin:0;font-weight:600}
table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:600;vertical-align:top;white-space:nowrap;padding:3px 14px 3px 0}
td{vertical-align:top;padding:3px 14px 3px 0}td p{margin:2px 0 8px;color:var(--soft);overflow-wrap:anywhere}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.w{width:70%}
.bar{display:block;height:14px;margin-top:4px;border-radius:3px}
.bar.ok,i.ok{background:var(--ok)}.bar.failed,i.failed{background:var(--failed)}.bar.unreached{background:var(--unreached)}.bar.rest{background:var(--rest)}
th.failed{color:var(--failed)}th.unreached{color:var(--unreached)}
svg{display:block;width:100%;height:auto}svg text{fill:var(--soft);font-size:11px}
rect.ok{fill:var(--ok)}rect.failed{fill:var(--failed)}rect.phase{fill:var(--phase)}
.running{fill:none;stroke:var(--run);stroke-width:1.6}
.legend,.more,footer{color:var(--soft);font-size:13px;margin:6px 0 0}.legend i{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 4px 0 8px}i.line{background:var(--run)}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(380px,1fr));gap:18px}figure{margin:0}figcaption{font-weight:600}
details{border-top:1px solid var(--line);padding:8px 0}summary{cursor:pointer;font-weight:600}summary span{font-weight:400;margin-left:8px}
footer{text-align:right}
@media print{pre{max-height:none}section{break-inside:avoid}}
`;
