# Docker Official Image for linux/amd64, arm64 and others: Python 3.11.16 on Debian 12, built on 25 August 2026.
# The digest is the one that docker-library/repo-info recorded for python:3.11-slim-bookworm; it decides, the tag tells.
ARG BASE=python:3.11-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY operator/requirements.txt /requirements.txt
# Hashed wheels only, so that nothing unlocked comes in and no package runs code while it is installed.
# The environment gets no pip of its own: nothing is installed once the image is made.
RUN python3 -m venv --without-pip /opt/venv && \
    pip --python /opt/venv/bin/python3 install --require-hashes --no-deps --only-binary :all: -r /requirements.txt
COPY operator/sandkeeper /app/sandkeeper
# The root file system is read-only at run time, so bytecode has to be there before.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app

FROM ${BASE}
LABEL org.opencontainers.image.title="Sandkeeper operator" \
      org.opencontainers.image.description="Kubernetes operator that gives every AI agent a machine of its own"
# Python asks for the name behind the user's number; a number alone would make it fail.
RUN groupadd --gid 65532 sandkeeper && \
    useradd --uid 65532 --gid 65532 --no-log-init --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sandkeeper
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
USER 65532:65532
# Metrics and probes.
EXPOSE 8080 8081
ENTRYPOINT ["python3", "-m", "sandkeeper"]
CMD ["operator"]
