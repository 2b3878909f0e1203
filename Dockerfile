# The router's image: compiled JavaScript and the libraries it runs with, on a small Debian with Node and nothing more.
#
#   docker build -t fairlead .
#   docker run --rm -p 6446-6449:6446-6449 -p 127.0.0.1:8404:8404 \
#     -e FAIRLEAD_CLUSTER_SEEDS=db-0,db-1,db-2 -e FAIRLEAD_CLUSTER_USER=router -e FAIRLEAD_CLUSTER_PASSWORD=… fairlead
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# Without the install scripts: the pinned Node of the development machine is not needed where the image has its own.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY protocol protocol
COPY routing routing
RUN npm run build

FROM build AS libraries
# Takes away what only builds and tests it.
RUN npm prune --omit=dev --ignore-scripts

FROM ${NODE_IMAGE}
WORKDIR /opt/fairlead
COPY package.json LICENSE ./
COPY --from=libraries /build/node_modules node_modules
COPY --from=build /build/dist dist
# In a container loopback is nobody else's: probes and scrapes come from outside. Let a network policy guard the port.
ENV NODE_ENV=production \
    FAIRLEAD_ADMIN_LISTEN=0.0.0.0:8404
# A number, so that Kubernetes can see that it is not root. Nothing is written: a read-only root file system will do.
USER 999:999
EXPOSE 6446 6447 6448 6449 8404
# SIGTERM drains (drain.delay, drain.timeout); the program listens for it also as process 1.
STOPSIGNAL SIGTERM
# The port is read from FAIRLEAD_ADMIN_LISTEN; who moves admin.listen in a file sets the variable too.
HEALTHCHECK --interval=30s --timeout=3s --start-period=5s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.FAIRLEAD_ADMIN_LISTEN.split(':').at(-1)}/livez`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/src/main.js"]
CMD ["run"]
