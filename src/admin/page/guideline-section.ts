/** What the status page shows of the routing guideline: its routes in order, and who is in its destination classes now. */
import { classify } from '../../../routing/guidelines/members.ts';
import type { Topology } from '../../../routing/topology.ts';
import { THREAD } from '../../shared/counters.ts';
import type { GuidelineFacts } from '../../shared/guideline.ts';
import type { CounterReader } from '../metrics/counter-reader.ts';
import { formatCount } from './format.ts';
import { type Html, html } from './html.ts';

/** Nothing where no guideline is configured. */
export function guidelineSection(
  facts: GuidelineFacts | undefined,
  topology: Topology,
  counters: CounterReader,
): Html {
  if (facts === undefined || facts.source === null) return html``;
  const { inForce, source } = facts;
  if (inForce === null)
    return html`<section><h2>Routing guideline</h2><p class="empty">None is active in the metadata: routes go by their roles.</p></section>`;
  const { guideline, router, slots } = inForce;
  const classes = classify(guideline, router, topology, () => undefined);
  return html`<section><h2>Routing guideline ${guideline.name}</h2>
<p class="facts">from ${source}</p>
<table>
<thead><tr><th>Route</th><th>Match</th><th>Destinations</th><th>Sessions so far</th></tr></thead>
<tbody>
${guideline.routes.map(
  ({ name, text, groups }, index) => html`<tr>
<th scope="row">${name}</th>
<td data-heading="Match"><code>${text}</code></td>
<td data-heading="Destinations">${groups.map(({ classes: names }) => names.join(', ')).join(', then ')}</td>
<td data-heading="Sessions so far">${formatCount(counters.sum(THREAD.guidelineSessions + (slots[index] ?? 0)))}</td>
</tr>
`,
)}</tbody></table>
<table>
<thead><tr><th>Class</th><th>Match</th><th>Members now</th></tr></thead>
<tbody>
${guideline.destinations.map(
  ({ name, text }) => html`<tr>
<th scope="row">${name}</th>
<td data-heading="Match"><code>${text}</code></td>
<td data-heading="Members now">${(classes.get(name) ?? []).map(({ address }) => address).join(', ') || 'nobody'}</td>
</tr>
`,
)}</tbody></table></section>`;
}
