/**
 * Style, icon and script of the status page. They are served from here, so the page needs no build and asks no other server.
 */

export const STATUS_STYLE = `:root {
  color-scheme: light dark;
  --ground: #f6f7f9;
  --card: #ffffff;
  --line: #dfe3e8;
  --text: #1b2430;
  --soft: #5a6675;
  --good: #0b6b3a;
  --good-ground: #dff4e7;
  --doubt: #7a4b00;
  --doubt-ground: #ffefd0;
  --bad: #a4121f;
  --bad-ground: #ffe2e4;
  --alarm: #b3141f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161c;
    --card: #1a2029;
    --line: #2d3643;
    --text: #e4e9f0;
    --soft: #9aa7b6;
    --good: #7fdca4;
    --good-ground: #12382a;
    --doubt: #ffcf7a;
    --doubt-ground: #3d2f10;
    --bad: #ffa3a8;
    --bad-ground: #4a1a20;
    --alarm: #c3202c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto;
  max-width: 78rem;
  padding: 1rem;
  background: var(--ground);
  color: var(--text);
  font: 1rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
header { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .75rem; }
h1 { margin: 0; font-size: 1.5rem; }
h2 { margin: 1.5rem 0 .5rem; font-size: 1rem; }
.facts { margin: .25rem 0; color: var(--soft); font-size: .875rem; overflow-wrap: anywhere; }
header .facts { margin-left: auto; }
.alarms, #stale { background: var(--alarm); color: #fff; border-radius: .5rem; margin: 1rem 0; padding: .75rem 1rem; }
.alarms h2 { margin: 0 0 .25rem; }
.alarms ul { margin: 0; padding-left: 1.25rem; overflow-wrap: anywhere; }
#stale { position: sticky; top: .5rem; font-weight: 600; }
.summary { display: grid; grid-template-columns: 3fr 1fr 1fr 1fr; gap: .75rem; margin: 1rem 0 .5rem; }
.figure { background: var(--card); border: 1px solid var(--line); border-left-width: .375rem; border-radius: .5rem; padding: .5rem .75rem; min-width: 0; }
.figure span { display: block; color: var(--soft); font-size: .8125rem; }
.figure strong { display: block; font-size: 1.375rem; line-height: 1.3; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.figure.good { border-left-color: var(--good); }
.figure.doubt { border-left-color: var(--doubt); background: var(--doubt-ground); }
.figure.bad { border-left-color: var(--bad); background: var(--bad-ground); }
.figure.bad strong { color: var(--bad); }
table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; font-size: .9375rem; }
th, td { padding: .4rem .75rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
tbody th, .wide { overflow-wrap: anywhere; }
thead th { border-top: 0; color: var(--soft); font-size: .8125rem; font-weight: 500; white-space: nowrap; }
tbody th { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.badge { display: inline-block; white-space: nowrap; padding: 0 .5rem; border-radius: 1rem; border: 1px solid var(--line); font-size: .8125rem; font-weight: 600; }
.badge.good { color: var(--good); background: var(--good-ground); border-color: transparent; }
.badge.doubt { color: var(--doubt); background: var(--doubt-ground); border-color: transparent; }
.badge.bad { color: var(--bad); background: var(--bad-ground); border-color: transparent; }
.empty { color: var(--soft); margin: 0; }
.events { list-style: none; margin: 0; padding: 0; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; font-size: .875rem; }
.events li { padding: .35rem .75rem; border-left: .375rem solid transparent; overflow-wrap: anywhere; }
.events li + li { border-top: 1px solid var(--line); }
.events li.warn { border-left-color: var(--doubt); }
.events li.error { border-left-color: var(--bad); background: var(--bad-ground); }
.events time { color: var(--soft); font-variant-numeric: tabular-nums; margin-right: .5rem; }
.events .kind { color: var(--soft); font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .8125rem; }
footer { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 1.5rem 0 0; font-size: .875rem; }
a { color: inherit; }
@media (max-width: 60rem) {
  .summary { grid-template-columns: 1fr 1fr 1fr; }
  .summary .figure:first-child { grid-column: 1 / -1; }
  header .facts { margin-left: 0; width: 100%; }
  table, tbody, tr, th[scope="row"] { display: block; }
  thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  tbody tr { padding: .5rem .75rem; }
  tbody tr + tr { border-top: 1px solid var(--line); }
  th[scope="row"], td { border: 0; padding: .1rem 0; text-align: left; }
  td { display: grid; grid-template-columns: 6.5rem minmax(0, 1fr); align-items: baseline; justify-items: start; overflow-wrap: anywhere; }
  td::before { content: attr(data-heading); color: var(--soft); font-size: .8125rem; }
  td:empty { display: none; }
  .events time { display: block; }
}
`;

/** A rope through a ring. */
export const STATUS_ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none">
<path d="M1 13 L15 5" stroke="#c98a1b" stroke-width="2.5" stroke-linecap="round"/>
<circle cx="8" cy="9" r="5" stroke="#2f6fb0" stroke-width="2.5"/>
</svg>
`;

export const STATUS_SCRIPT = `'use strict';
const REFRESH_MS = 2000;
let freshAt = new Date();

// Someone who has marked text wants to copy it: it stays until the mark is gone.
function isReading() {
  const selection = getSelection();
  return selection !== null && !selection.isCollapsed;
}

async function refresh() {
  const stale = document.getElementById('stale');
  try {
    const response = await fetch(location.href, { cache: 'no-store', signal: AbortSignal.timeout(REFRESH_MS) });
    if (!response.ok) throw new Error('status ' + response.status);
    const page = new DOMParser().parseFromString(await response.text(), 'text/html');
    freshAt = new Date();
    stale.hidden = true;
    document.title = page.title;
    if (!isReading()) document.querySelector('main').replaceWith(page.querySelector('main'));
  } catch {
    document.getElementById('stale-since').textContent = freshAt.toISOString().slice(11, 19) + ' UTC';
    document.title = 'NO ANSWER · Fairlead';
    stale.hidden = false;
  }
}

async function refreshForever() {
  if (!document.hidden) await refresh();
  setTimeout(refreshForever, REFRESH_MS);
}
setTimeout(refreshForever, REFRESH_MS);
`;
