/** Routing guidelines: rules for who goes where, in MySQL Router's own form. */
import { z } from 'zod';
import { boolean, duration, file, text } from '../keys.ts';

export const guidelines = z.strictObject({
  file: file({
    doc: 'A routing guideline as MySQL Shell exports it, JSON. It decides for all routes of protocol `classic` in place of their role and strategy.',
    why: 'For rules by user, schema, address or connection attribute, and for groups of servers by tag, version or name: [routing guidelines](routing-guidelines.md) has what is understood. A relative path in the file starts at the folder of the file, elsewhere at the working directory.',
  }),
  fromMetadata: boolean({
    doc: 'Take the guideline that the metadata of the cluster names (`guideline` among the router options, schema 2.3 or later).',
    why: 'What `setRoutingOption("guideline", …)` of AdminAPI sets then counts within `metadata.interval`. Off by default, so that nobody redirects clients of this router by accident. Not together with `guidelines.file`.',
    default: false,
  }),
  localCluster: text({
    doc: 'The name of the cluster near this router: `$.router.localCluster` in guidelines.',
    why: 'One guideline for all routers of a ClusterSet can then send each to its own cluster first.',
    maxLength: 63,
  }),
  watchInterval: duration({
    doc: 'How often `guidelines.file` is looked at for changes; 0 for never. SIGHUP looks at once.',
    why: 'A guideline that cannot be used is logged and left alone; the one in force stays.',
    min: '0',
    max: '1d',
    default: '10s',
  }),
});
