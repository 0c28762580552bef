# Two images, neither with a model: the proxy downloads the version behind the alias, so one image
# runs anywhere. `proxy` has what the API imports; `app` also has the jobs and MLflow's server.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS all-packages
COPY requirements.lock /tmp/
RUN python -m venv --without-pip /opt/venv
RUN python -m pip --python /opt/venv/bin/python install --disable-pip-version-check --quiet --only-binary :all: --require-hashes -r /tmp/requirements.lock
# An installer, used only on developers' machines (`make lock`, `mlflow run --env-manager uv`).
RUN python -m pip --python /opt/venv/bin/python uninstall --yes --quiet uv

FROM ${PYTHON_IMAGE} AS proxy-packages
COPY requirements-serving.lock scripts/slim.py /tmp/
RUN python -m venv --without-pip /opt/venv
RUN python -m pip --python /opt/venv/bin/python install --disable-pip-version-check --quiet --only-binary :all: --require-hashes --no-compile -r /tmp/requirements-serving.lock
RUN python /tmp/slim.py /opt/venv

FROM ${PYTHON_IMAGE} AS base
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="risco-defasagem" \
      org.opencontainers.image.description="Model serving on MLflow: proxy, jobs and MLflow server" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Running containers need no package installers.
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip setuptools wheel
RUN groupadd --gid 10001 app && useradd --uid 10001 --gid app --no-create-home --home-dir /tmp --shell /usr/sbin/nologin app
# Empty volumes inherit the owner of the folder that they are mounted on.
RUN install -d -o app -g app /data/journal /data/model-cache /data/service-levels /data/dumps /data/backups /app/monitoring/inference_store /app/monitoring/reports /app/data/raw /app/data/processed /app/artifacts
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    GIT_PYTHON_REFRESH=quiet \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
WORKDIR /app
COPY RUNBOOK.md ./
COPY docs docs
COPY examples examples
COPY scripts scripts
COPY core core
COPY mlflow_project mlflow_project
COPY serving serving
EXPOSE 8000
# Liveness, not readiness: without a champion the proxy returns 503, and a restart would not help.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 CMD ["python", "scripts/probe.py", "http://127.0.0.1:8000/health"]
CMD ["python", "-m", "serving", "--host", "0.0.0.0"]

FROM base AS proxy
COPY --from=proxy-packages /opt/venv /opt/venv
RUN python -m compileall -q /app
USER 10001:10001

FROM base AS app
COPY --from=all-packages /opt/venv /opt/venv
COPY MLproject conda.yaml .env.example ./
COPY docker docker
COPY data data
COPY monitoring monitoring
RUN python -m compileall -q /app
USER 10001:10001
