/** Where to look for members: addresses, and names and Services that stand for members that come and go. */
import { z } from 'zod';
import {
  boolean,
  hostName,
  integer,
  keyFacts,
  objectName,
  optionalObjectName,
  servicePort,
  text,
  textWithDefault,
} from '../keys.ts';
import { parseSeed } from '../values.ts';

export const dnsSeed = z.strictObject({
  dns: z.strictObject({
    name: hostName({
      doc: 'The name. Without `srv`, every address it has is a member; while it has one only, that member is followed by its name wherever the name moves.',
      why: 'A headless Service, or the name a cloud gives its database. Ends with a dot where it is complete, else the search list of resolv.conf applies.',
      maxLength: 253,
    }),
    port: integer({
      doc: 'Port of the members; with `srv` the records say it.',
      why: "MySQL's own port is the default.",
      min: 1,
      max: 65_535,
      default: 3306,
    }),
    srv: boolean({
      doc: 'Ask for SRV records `_mysql._tcp.<name>`: each target with its port is a member.',
      why: 'Gives every pod of a headless Service its own name, which its certificate bears and by which it is followed when its address changes. The port of the Service has to be named mysql, or see `service`.',
      default: false,
    }),
    service: textWithDefault({
      doc: 'The service in the name of the SRV records: `mysql` asks for `_mysql._tcp.<name>`.',
      why: 'Kubernetes takes it from the name of the port of the Service. A `name` that begins with `_` is asked for as it is.',
      maxLength: 62,
      default: 'mysql',
    }),
    targetPrefix: text({
      doc: 'Of the SRV records only those whose target begins so.',
      why: 'For a headless Service that several clusters of a namespace share: `my-cluster-mysql-` leaves the pods of `my-cluster`.',
      maxLength: 253,
    }),
  }),
});

export const kubernetesSeed = z.strictObject({
  kubernetes: z.strictObject({
    service: objectName({
      doc: 'The Service; its EndpointSlices are watched, and each of their endpoints is a member.',
      why: 'The headless Service of the members, such as `mycluster-instances`, and not one that already picks the primary.',
    }),
    namespace: optionalObjectName({
      doc: 'The namespace of the Service.',
      why: "Without it the router's own.",
    }),
    port: servicePort({
      doc: 'Name or number of the port of the Service that members listen on.',
      why: 'Without it the port named mysql, or the only one there is.',
    }),
    podSelector: text({
      doc: "Label selector of the members' pods; with it, pods are read too, for their labels.",
      why: 'Needs a Role that allows to list and watch pods. Roles of members never come from labels.',
      maxLength: 1024,
    }),
    clusterDomain: textWithDefault({
      doc: 'The DNS domain of the Kubernetes cluster, for the names of members.',
      why: 'Pods are named as their own DNS does it: pod.service.namespace.svc.cluster.local.',
      maxLength: 253,
      default: 'cluster.local',
    }),
    kubeconfig: text({
      doc: 'Path of a kubeconfig file, whose current context is used.',
      why: "Without it the pod's own service account is used: outside a cluster a file is needed.",
      maxLength: 4096,
    }),
  }),
});

const SEED_RULE =
  'a host with or without a port (1 to 65535), such as "db-0.db", "db-0.db:3306" or "[::1]:3306", or a map with the one key dns or kubernetes';

/** Places to start looking for members. */
export function seeds(facts: { readonly doc: string; readonly why: string }) {
  const address = z.string().transform((written, context) => {
    const parsed = parseSeed(written);
    if (parsed !== null) return { kind: 'address' as const, ...parsed };
    context.issues.push({ code: 'custom', input: written });
    return z.NEVER;
  });
  const seed = z
    .union([address, dnsSeed, kubernetesSeed])
    .register(keyFacts, { kind: 'seed', ...facts, rule: SEED_RULE, defaultText: null });
  return z
    .array(seed)
    .prefault([])
    .register(keyFacts, {
      kind: 'seeds',
      ...facts,
      rule: `a list, each item ${SEED_RULE}`,
      defaultText: null,
    });
}
