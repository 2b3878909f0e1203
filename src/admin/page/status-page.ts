/**
 * The status page: who is primary, what is wrong, what happened last. It is complete without a script; the small
 * script only fetches it anew and puts the new `main` in the place of the old.
 */
import type { Member, Topology } from '../../../routing/topology.ts';
import { MAX_MEMBER_SLOTS, MEMBER, memberOffset } from '../../shared/counters.ts';
import type { EventLog, RouterEvent } from '../../shared/events.ts';
import { countHung } from '../../shared/thread-pulse.ts';
import { createCounterReader } from '../metrics/counter-reader.ts';
import { judgeReadiness, type Readiness } from '../readiness.ts';
import { createRouteCounts, type RouteCounts } from '../route-counts.ts';
import type { AdminSources, DiscoveryFacts, RouteFacts } from '../sources.ts';
import { clusterSection, memberNotes } from './cluster-section.ts';
import { formatCount, formatDuration, formatTime } from './format.ts';
import { guidelineSection } from './guideline-section.ts';
import { type Html, html } from './html.ts';

/** Returns a function that renders the page as things stand. */
export function createStatusPage(sources: AdminSources, events: EventLog): () => string {
  const countsOf = createRouteCounts(sources.counters, sources.threads);
  const counters = createCounterReader(sources.counters, sources.threads);
  const sessionsOn = (member: Member): number =>
    counters.sum(memberOffset(member.slot) + MEMBER.sessionsOpen);

  return () => {
    const topology = sources.topology();
    const readiness = judgeReadiness(sources);
    const routes = sources.routes().map((route, index) => ({
      route,
      counts: countsOf(route.index),
      candidates: readiness.routes[index]?.candidates ?? 0,
    }));
    const now = Date.now();
    const main = html`<main>
${titleBar(sources, readiness, now)}
${alarmList(alarmsOf(sources, topology, readiness))}
${summary(topology, routes)}
${memberTable(topology, sessionsOn)}
${clusterSection(topology)}
${guidelineSection(sources.guideline?.(), topology, counters)}
${routeTable(routes)}
${discoveryTable(sources.discovery?.() ?? [], now)}
${eventList(events.recent(EVENTS_SHOWN), now)}
</main>`;
    return page(pageTitle(topology, readiness), main).markup;
  };
}

type RouteRow = { readonly route: RouteFacts; readonly counts: RouteCounts; readonly candidates: number };

function page(title: string, main: Html): Html {
  // Paths are relative, so the page also works behind a proxy that serves it under a path of its own.
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="status.svg">
<link rel="stylesheet" href="status.css">
<script src="status.js" defer></script>
<noscript><meta http-equiv="refresh" content="5"></noscript>
</head>
<body>
<p id="stale" role="alert" hidden>The router has not answered since <span id="stale-since"></span>. What is shown is old.</p>
${main}
<footer>
<a href="metrics">metrics</a>
<a href="readyz?verbose">readyz</a>
<a href="livez">livez</a>
<a href="api/v1/topology">topology</a>
<a href="api/v1/sessions">sessions</a>
<a href="api/v1/events">events</a>
<a href="api/v1/status">status</a>
</footer>
</body>
</html>
`;
}

/** What a row of browser tabs shows: the worst news first. */
function pageTitle(topology: Topology, readiness: Readiness): string {
  if (!readiness.isReady) return 'NOT READY · Fairlead';
  return `${topology.primary ?? 'NO PRIMARY'} · Fairlead`;
}

function titleBar(sources: AdminSources, readiness: Readiness, now: number): Html {
  const uptime = formatDuration((now - sources.startedAtMs) / 1000);
  return html`<header>
<h1>Fairlead</h1>
${badge(readiness.isReady ? 'good' : 'bad', readiness.isReady ? 'ready' : 'not ready')}
<p class="facts">${sources.version} · up ${uptime} · <time datetime="${new Date(now).toISOString()}">${formatTime(now)} UTC</time></p>
</header>`;
}

/** Everything that needs an operator, in words. */
function alarmsOf(sources: AdminSources, topology: Topology, readiness: Readiness): readonly string[] {
  const dead = sources.threads - sources.threadsAlive();
  const hung = countHung(sources.threadPulses());
  const problem = sources.guideline?.().problem ?? '';
  return [
    ...topology.alarms,
    ...(problem === '' ? [] : [`The routing guideline in force is not the newest one: ${problem}`]),
    ...(readiness.isReady ? [] : [`Not ready: ${readiness.summary}.`]),
    ...readiness.routes
      .filter((route) => !route.canRoute)
      .map((route) => `Route ${route.name}: ${route.reason}`),
    ...(hung > 0 ? [`${hung} of ${sources.threads} data threads hang.`] : []),
    ...(dead > 0 ? [`${dead} of ${sources.threads} data threads are not running.`] : []),
  ];
}

function alarmList(alarms: readonly string[]): Html {
  if (alarms.length === 0) return html``;
  return html`<section class="alarms" role="alert"><h2>Alarms</h2><ul>
${alarms.map((alarm) => html`<li>${alarm}</li>\n`)}</ul></section>`;
}

function summary(topology: Topology, routes: readonly RouteRow[]): Html {
  const open = routes.reduce((sum, { counts }) => sum + counts.open, 0);
  const held = routes.reduce((sum, { counts }) => sum + counts.held, 0);
  return html`<section class="summary">
${figure('Primary', topology.primary ?? 'none', topology.primary === null ? 'bad' : 'good')}
${quorumFigure(topology)}
${figure('Sessions', formatCount(open), 'plain')}
${figure('Held', formatCount(held), held > 0 ? 'doubt' : 'plain')}
</section>
<p class="facts">${[
    `topology ${topology.version}`,
    topology.mode === 'unknown' ? 'mode unknown' : topology.mode,
    topology.groupName === null ? 'no group name' : `group ${topology.groupName}`,
  ].join(' · ')}</p>`;
}

function memberTable(topology: Topology, sessionsOn: (member: Member) => number): Html {
  if (topology.members.length === 0) {
    return html`<section><h2>Members</h2><p class="empty">No member is known.</p></section>`;
  }
  return html`<section><h2>Members</h2><table>
<thead><tr><th>Address</th><th>Role</th><th>State</th><th>Takes</th><th class="number">Sessions</th><th>Version</th><th>Why</th></tr></thead>
<tbody>
${topology.members.map(
  (member) => html`<tr class="${member.role === 'PRIMARY' ? 'primary' : ''}">
<th scope="row" title="${member.id}">${member.address}</th>
${cell('Role', badge(member.acceptsWrites ? 'good' : 'plain', member.role))}
${cell('State', badge(toneOfState(member.state), member.state))}
${cell('Takes', html`${takes(member)}`)}
${numberCell('Sessions', member.slot >= 0 && member.slot < MAX_MEMBER_SLOTS - 1 ? sessionsOn(member) : null)}
${cell('Version', html`${member.version}`)}
<td data-heading="Why" class="wide">${whyOf(member)}</td>
</tr>
`,
)}</tbody></table></section>`;
}

function whyOf(member: Member): string {
  return [member.reason, memberNotes(member)].filter((text) => text !== '').join(' · ');
}

function routeTable(routes: readonly RouteRow[]): Html {
  return html`<section><h2>Routes</h2><table>
<thead><tr><th>Name</th><th>Listens on</th><th>Role</th><th>Strategy</th><th class="number">Candidates</th><th class="number">Open</th><th class="number">Busy</th><th class="number">Held</th><th class="number">Accepted</th><th class="number">Refused</th></tr></thead>
<tbody>
${routes.map(
  ({ route, counts, candidates }) => html`<tr>
<th scope="row">${route.name}</th>
${cell('Listens on', route.isListening ? html`${listenText(route)}` : badge('bad', `not listening on ${listenText(route)}`))}
${cell('Role', html`${route.role}`)}
${cell('Strategy', html`${route.strategy}`)}
<td data-heading="Candidates" class="number">${candidates === 0 ? badge('bad', 'none') : html`${candidates}`}</td>
${numberCell('Open', counts.open)}
${numberCell('Busy', counts.busy)}
${numberCell('Held', counts.held)}
${numberCell('Accepted', counts.accepted)}
${numberCell('Refused', counts.refused)}
</tr>
`,
)}</tbody></table></section>`;
}

/** Addresses that stand in the configuration and resolve need no row of their own. */
function discoveryTable(all: readonly DiscoveryFacts[], now: number): Html {
  const shown = all.filter(({ kind, failure }) => kind !== 'static' || failure !== null);
  if (shown.length === 0) return html``;
  return html`<section><h2>Discovery</h2><table>
<thead><tr><th>Source</th><th>State</th><th class="number">Addresses</th><th>Last success</th><th>Why</th></tr></thead>
<tbody>
${shown.map(
  ({ name, destinations, lastSuccessAtMs, failure }) => html`<tr>
<th scope="row">${name}</th>
${cell('State', sourceState(failure !== null, lastSuccessAtMs !== null))}
${numberCell('Addresses', destinations.length)}
${cell('Last success', html`${lastSuccessAtMs === null ? 'never' : `${formatDuration((now - lastSuccessAtMs) / 1000)} ago`}`)}
<td data-heading="Why" class="wide">${failure?.message ?? ''}</td>
</tr>
`,
)}</tbody></table></section>`;
}

function sourceState(isFailing: boolean, hasSucceeded: boolean): Html {
  if (isFailing) return badge('bad', 'failing');
  return hasSucceeded ? badge('good', 'well') : badge('doubt', 'waiting');
}

function eventList(events: readonly RouterEvent[], now: number): Html {
  if (events.length === 0)
    return html`<section><h2>Events</h2><p class="empty">Nothing has happened yet.</p></section>`;
  return html`<section><h2>Events</h2><ol class="events">
${events.map(
  (
    event,
  ) => html`<li class="${event.level}"><time datetime="${new Date(event.atMs).toISOString()}" title="${formatDuration((now - event.atMs) / 1000)} ago">${formatTime(event.atMs)}</time>
<span class="kind">${event.kind}</span> <span class="message">${event.message}</span></li>
`,
)}</ol></section>`;
}

/** Where there is no group there is no quorum to lose. */
function quorumFigure(topology: Topology): Html {
  if (topology.hasQuorum) return figure('Quorum', 'yes', 'good');
  return topology.groupName === null ? figure('Quorum', '–', 'plain') : figure('Quorum', 'no', 'bad');
}

type Tone = 'good' | 'doubt' | 'bad' | 'plain';

function figure(label: string, value: string, tone: Tone): Html {
  return html`<div class="figure ${tone}"><span>${label}</span><strong>${value}</strong></div>`;
}

function badge(tone: Tone, text: string): Html {
  return html`<span class="badge ${tone}">${text}</span>`;
}

/** On a phone a table becomes a list, and each value carries its own heading. */
function cell(heading: string, content: Html): Html {
  return html`<td data-heading="${heading}">${content}</td>`;
}

function numberCell(heading: string, count: number | null): Html {
  return html`<td data-heading="${heading}" class="number">${count === null ? '–' : formatCount(count)}</td>`;
}

function toneOfState(state: Member['state']): Tone {
  if (state === 'ONLINE') return 'good';
  return state === 'RECOVERING' || state === 'UNKNOWN' ? 'doubt' : 'bad';
}

function takes(member: Member): string {
  if (member.acceptsWrites) return member.acceptsReads ? 'writes, reads' : 'writes';
  return member.acceptsReads ? 'reads' : 'nothing';
}

function listenText(route: RouteFacts): string {
  const host = route.listen.host.includes(':') ? `[${route.listen.host}]` : route.listen.host;
  return `${host}:${route.port ?? route.listen.port}`;
}

/** The ring holds more; this is what fits on two screens of a phone. */
const EVENTS_SHOWN = 30;
