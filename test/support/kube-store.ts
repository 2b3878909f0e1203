/**
 * What a Kubernetes API keeps: objects with resource versions, and what happened to them for as long as it remembers.
 */

export type StoredObject = {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels: Readonly<Record<string, string>>;
  };
} & Readonly<Record<string, unknown>>;

export type StoreEvent = {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly resource: string;
  readonly version: number;
  readonly object: StoredObject;
};

export class KubeStore {
  readonly #objects = new Map<string, StoredObject>();
  readonly #listeners = new Set<(event: StoreEvent) => void>();
  #events: StoreEvent[] = [];
  #version = 1000;
  /** Events before this one are forgotten. */
  #oldest = 1000;
  #uids = 0;

  get version(): number {
    return this.#version;
  }

  list(resource: string, namespace: string | null, selector: string): readonly StoredObject[] {
    return [...this.#objects]
      .filter(([key, object]) => {
        const isThere = key.startsWith(`${resource}/`);
        const { metadata } = object;
        return (
          isThere && (namespace === null || metadata.namespace === namespace) && selects(selector, object)
        );
      })
      .map(([, object]) => object)
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  find(resource: string, namespace: string, name: string): StoredObject | undefined {
    return this.#objects.get(`${resource}/${namespace}/${name}`);
  }

  /** Creates or replaces an object, as it would be posted. */
  put(resource: string, namespace: string, written: Readonly<Record<string, unknown>>): StoredObject {
    const given = recordIn(written, 'metadata');
    const name = String(given['name']);
    const before = this.find(resource, namespace, name);
    this.#version += 1;
    const [kind, apiVersion] = RESOURCES[resource] ?? ['Unknown', 'v1'];
    this.#uids += before === undefined ? 1 : 0;
    const labels = Object.entries(recordIn(given, 'labels')).map(([key, value]) => [key, String(value)]);
    const object: StoredObject = {
      ...written,
      kind,
      apiVersion,
      metadata: {
        ...given,
        name,
        namespace,
        uid: before?.metadata.uid ?? (typeof given['uid'] === 'string' ? given['uid'] : `uid-${this.#uids}`),
        resourceVersion: String(this.#version),
        labels: Object.fromEntries(labels),
      },
    };
    this.#objects.set(`${resource}/${namespace}/${name}`, object);
    this.#tell({
      type: before === undefined ? 'ADDED' : 'MODIFIED',
      resource,
      version: this.#version,
      object,
    });
    return object;
  }

  delete(resource: string, namespace: string, name: string): StoredObject | undefined {
    const object = this.find(resource, namespace, name);
    if (object === undefined) return undefined;
    this.#version += 1;
    this.#objects.delete(`${resource}/${namespace}/${name}`);
    const last = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
    this.#tell({ type: 'DELETED', resource, version: this.#version, object: last });
    return object;
  }

  /** What happened after `version`; null where that is no longer known. */
  since(version: number): readonly StoreEvent[] | null {
    if (version < this.#oldest) return null;
    return this.#events.filter((event) => event.version > version);
  }

  /** As etcd compacts: nobody can go on from an earlier version. */
  forgetHistory(): void {
    this.#version += 1;
    this.#oldest = this.#version;
    this.#events = [];
  }

  listen(listener: (event: StoreEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(event: StoreEvent): void {
    this.#events.push(event);
    for (const listener of this.#listeners) listener(event);
  }
}

/** Equality only, as in "a=b,c=d"; an empty selector selects everything. */
export function selects(selector: string, object: StoredObject): boolean {
  return selector
    .split(',')
    .filter((term) => term !== '')
    .every((term) => {
      const [key = '', value = ''] = term.split(/==?/);
      return object.metadata.labels[key] === value;
    });
}

function recordIn(value: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
  const inner = value[key];
  return typeof inner === 'object' && inner !== null ? { ...inner } : {};
}

/** Kind and API version by resource. */
export const RESOURCES: Readonly<Record<string, readonly [kind: string, apiVersion: string]>> = {
  endpointslices: ['EndpointSlice', 'discovery.k8s.io/v1'],
  pods: ['Pod', 'v1'],
};
