/**
 * Members by the EndpointSlices of a Service, and by its pods' labels where a selector for them is given.
 */
import type { KubernetesSeed } from '../../../config/config.ts';
import { messageOf } from '../../../shared/message-of.ts';
import { type CreateSource, createSourceLedger, type SourceFailure } from '../source.ts';
import {
  type ApiAccess,
  kubeconfigAccess,
  type OpenAccess,
  POD_SERVICE_ACCOUNT,
  serviceAccountAccess,
} from './access.ts';
import { ApiFailure, openAnswer } from './api-request.ts';
import { destinationsOf } from './endpoints.ts';
import { LIST_WATCH_TIMES, ListWatch, type ListWatchTimes } from './list-watch.ts';
import { type EndpointSlice, type Pod, parsePod, parseSlice } from './objects.ts';

export type KubernetesSourceOptions = {
  readonly access: OpenAccess;
  readonly times: ListWatchTimes;
};

export function accessFor(seed: KubernetesSeed): KubernetesSourceOptions {
  const { kubeconfig } = seed;
  const access =
    kubeconfig === null ? serviceAccountAccess(POD_SERVICE_ACCOUNT) : kubeconfigAccess(kubeconfig);
  return { access, times: LIST_WATCH_TIMES };
}

export function createKubernetesSource(
  label: string,
  seed: KubernetesSeed,
  options: KubernetesSourceOptions,
): CreateSource {
  return ({ resolver, now, random, onReport }) => {
    const ledger = createSourceLedger('kubernetes', label, onReport);
    let access: Promise<ApiAccess> | null = null;
    let namespace = seed.namespace ?? '';
    let slices: readonly EndpointSlice[] | null = null;
    let pods: readonly Pod[] = [];
    let podFailure: SourceFailure | null = null;

    const renew = (): void => {
      if (slices === null) return;
      const found = destinationsOf(slices, pods, seed, namespace);
      if (found.kind === 'unusable') ledger.fail(found);
      else ledger.succeed(found.destinations, podFailure);
    };
    const openAccess = async (): Promise<ApiAccess> => {
      access ??= options.access();
      try {
        return await access;
      } catch (error) {
        access = null;
        throw new ApiFailure('no_access', messageOf(error));
      }
    };
    const open = async (
      collection: Collection,
      parameters: Readonly<Record<string, string>>,
      signal: AbortSignal,
    ): ReturnType<typeof openAnswer> => {
      const api = await openAccess();
      namespace = seed.namespace ?? api.namespace;
      const { group, resource, selector } = collection;
      const url = new URL(`${api.server}${group}/namespaces/${namespace}/${resource}`);
      url.searchParams.set('labelSelector', selector);
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
      try {
        const requestOptions = await api.requestOptions();
        return await openAnswer({
          url,
          options: requestOptions,
          resolver,
          signal,
          timeoutMs: options.times.answerMs,
        });
      } catch (error) {
        // Credentials that are not known any more are read anew.
        if (error instanceof ApiFailure && error.code === 'http_401') access = null;
        throw error;
      }
    };
    const common = { times: options.times, now, random };
    const sliceWatch = new ListWatch<EndpointSlice>({
      ...common,
      parse: parseSlice,
      open: (parameters, signal) =>
        open(
          {
            group: '/apis/discovery.k8s.io/v1',
            resource: 'endpointslices',
            selector: `kubernetes.io/service-name=${seed.service}`,
          },
          parameters,
          signal,
        ),
      onObjects(objects) {
        slices = objects;
        renew();
      },
      onFailure: ({ code, message }) => ledger.fail({ code, message }),
    });
    const podWatch =
      seed.podSelector === ''
        ? null
        : new ListWatch<Pod>({
            ...common,
            parse: parsePod,
            open: (parameters, signal) =>
              open({ group: '/api/v1', resource: 'pods', selector: seed.podSelector }, parameters, signal),
            onObjects(objects) {
              pods = objects;
              podFailure = null;
              renew();
            },
            onFailure({ code, message }) {
              podFailure = { code, message };
              renew();
            },
          });

    return {
      report: ledger.report,
      refresh() {
        sliceWatch.refresh();
      },
      close() {
        sliceWatch.close();
        podWatch?.close();
      },
    };
  };
}

type Collection = { readonly group: string; readonly resource: string; readonly selector: string };
