# Two commands on a fresh machine: `make up` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
# Tests start hundreds of processes: bytecode is written even if the environment disables it.
unexport PYTHONDONTWRITEBYTECODE
PYTEST := $(BIN)/python -m pytest
# More than two cores would suggest: half of the tests' time is waiting for processes and deadlines.
WORKERS ?= 4

# make up API_PORT=8001 MLFLOW_PORT=5001 HOST=127.0.0.1 SOURCE=path/to/PEDE.xlsx: variables of the command
# line come first, then exported ones, then .env.

.PHONY: help up test test-fast test-slow test-all spark check format lock audit messages bench-serving bench-models bench-drift bench-growth chaos clean clean-all backup restore services
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

up: .venv/runtime ## MLflow server, a trained champion, the proxy; Ctrl-C stops all of it
	@exec $(BIN)/python -m scripts.up

test-fast: .venv/dev ## the tests that need no server
	@$(PYTEST) -n 2 -m "not server and not slow"

test: .venv/dev ## the tests, some minutes
	@$(PYTEST) -n $(WORKERS)

test-slow: .venv/dev .venv/spark ## only the slow ones, half an hour and more
	@$(PYTEST) -n 2 -m slow

test-all: test test-slow ## all of them

spark: .venv/spark ## what --engine spark needs, besides Java 17

check: .venv/dev ## lint, format and types, as CI does
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: .venv/dev ## mend what the linter can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: .venv/runtime ## write the lock files from pyproject.toml
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"; \
	compile="$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --quiet"; \
	$$compile pyproject.toml -o requirements.lock && \
	$$compile pyproject.toml --extra spark -c requirements.lock -o requirements-spark.lock && \
	$$compile --group serving -c requirements.lock -o requirements-serving.lock && \
	$$compile --group dev -c requirements.lock -o requirements-dev.lock

audit: .venv/runtime ## known advisories about the locked packages; says so where none can be asked
	@$(BIN)/python -m scripts.audit

messages: .venv/dev ## take new strings into the catalogues of core/messages, and compile them
	@pot=$$(mktemp) && trap 'rm -f "$$pot"' EXIT && \
	$(BIN)/pybabel -q extract -F babel.cfg -k N_ -k ngettext:1,2 --no-location --omit-header --sort-output -o "$$pot" . && \
	$(BIN)/pybabel -q update -i "$$pot" -d core/messages -l pt_BR --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date -w 100 && \
	$(BIN)/pybabel compile -d core/messages -l pt_BR --statistics

bench-serving: .venv/dev ## the proxy beside its peers; writes benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks.serving

bench-models: .venv/dev ## models registered plainly, beside other ways to serve them; writes benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks.serving_models

bench-drift: .venv/dev ## drift beside its peers; writes benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks.drift

backup: .venv/runtime ## DEST=folder: registry, captured rows and key in one file, while all runs
	@$(BIN)/python -m scripts.backup $(if $(DEST),"$(DEST)")

restore: .venv/runtime ## FROM=backup.tar: into a folder where nothing is yet
	@$(BIN)/python -m scripts.restore $(if $(FROM),"$(FROM)")

bench-growth: .venv/dev ## cost by age of store and registry; writes benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks.growth

MINUTES ?= 15
SEED ?= 1
chaos: .venv/dev ## kills, flips, a full disk and a misbehaving MLflow, MINUTES long; docs/reliability.md
	@$(BIN)/python -m benchmarks.chaos --minutes $(MINUTES) --seed $(SEED)

services: .venv/runtime ## MLflow, API and routines as systemd units of this user; SYSTEM=1 (root): of the machine
	@$(BIN)/python -m scripts.services install $(if $(SYSTEM),--system,--user)

clean: ## remove the environment and what commands make again; workbooks, registry and answers stay
	@"$(PYTHON)" -m scripts.clean

clean-all: ## the registry and the captured answers too, after a typed yes
	@"$(PYTHON)" -m scripts.clean --all

.venv/runtime: requirements.lock
	@scripts/install.sh "$(PYTHON)" requirements.lock
	@touch $@

.venv/dev: .venv/runtime requirements-dev.lock
	@scripts/install.sh "$(PYTHON)" requirements-dev.lock
	@touch $@

.venv/spark: .venv/runtime requirements-spark.lock
	@scripts/install.sh "$(PYTHON)" requirements-spark.lock
	@touch $@
