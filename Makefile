# All commands for people. They need Python 3.11, 3.12 or 3.13 as `python3` (or PYTHON=...) and nothing else.
PYTHON ?= python3
BIN := .venv/bin
JUDGE ?=
PORT ?=
YES ?=
WORKERS ?=

.DEFAULT_GOAL := help
.PHONY: help setup backfill up cluster test test-quick test-litellm browser postgresql redis faketime lint docs bench bench-quick mutation lock

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: .venv/.run ## Create .venv and install what the project needs to run

backfill: .venv/.run ## Run backfill mode on the sample data with the offline judge (JUDGE=live: a real one)
	@$(BIN)/python -m devtools.local_airflow backfill $(if $(JUDGE),--judge $(JUDGE)) $(if $(YES),--yes)

up: .venv/.run ## Start Airflow with its UI on 127.0.0.1 and keep it running (JUDGE=offline: with the offline judge; PORT=9000)
	@$(BIN)/python -m devtools.local_airflow up $(if $(JUDGE),--judge $(JUDGE)) $(if $(PORT),--port $(PORT))

cluster: .venv-cluster/.done postgresql redis ## Run the sample cohort on several workers, with Celery, PostgreSQL and Redis (WORKERS=4, PORT=9000)
	@.venv-cluster/bin/python -m devtools.cluster $(if $(WORKERS),--workers $(WORKERS)) $(if $(PORT),--port $(PORT))

test: .venv/.dev .venv-fab/.done .venv-litellm/.done .venv-inspect/.done .venv-cluster/.done browser postgresql redis faketime ## Run every test
	@$(BIN)/python -m pytest $(LANES)

# Two workers; each takes whole files of tests (see tests/conftest.py), in the order of collection.
LANES = -n 2 --dist loadfile --no-loadscope-reorder

test-quick: .venv/.dev ## Run the tests that need no Airflow, browser, PostgreSQL, other environment, simulation or killed processes
	@$(BIN)/python -m pytest $(LANES) -m "not slow and not airflow and not cluster and not litellm and not inspect and not postgresql"

test-litellm: .venv/.dev .venv-litellm/.done ## Run the tests that call judges through a real LiteLLM proxy
	@$(BIN)/python -m pytest tests/litellm

browser:
	@if test -n "$$CHROMIUM" || command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then :; \
	elif command -v apt-get >/dev/null && test "$$(id -u)" = 0; then echo "Installing Chromium, for the tests of the pages"; \
	  apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else echo "The tests of the pages need a browser. Next: sudo apt-get install chromium, or CHROMIUM=/path/to/one make test"; exit 1; fi

postgresql:
	@if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null; then :; \
	elif command -v apt-get >/dev/null && test "$$(id -u)" = 0; then echo "Installing PostgreSQL, for the ledger"; \
	  mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf; \
	  apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null; \
	else echo "This needs PostgreSQL. Next: sudo apt-get install postgresql"; exit 1; fi

redis:
	@if command -v redis-server >/dev/null; then :; \
	elif command -v apt-get >/dev/null && test "$$(id -u)" = 0; then echo "Installing Redis, for several workers"; \
	  apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server >/dev/null; \
	else echo "This needs Redis. Next: sudo apt-get install redis-server"; exit 1; fi

faketime:
	@if ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1; then :; \
	elif command -v apt-get >/dev/null && test "$$(id -u)" = 0; then echo "Installing libfaketime, for the tests of clocks that differ"; \
	  apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libfaketime >/dev/null; \
	else echo "The tests of clocks that differ need libfaketime. Next: sudo apt-get install libfaketime"; exit 1; fi

lint: .venv/.dev ## Check format, style, types, layers, dependencies and the links of the docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/deptry include devtools
	@found=$$(NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build 2>&1) || { echo "$$found"; exit 1; }

docs: .venv/.dev ## Build the documentation as a site, site/index.html; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "Open site/index.html. Its search needs a server: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site"

bench: .venv/.dev ## Measure all promised speeds, compared with alternatives (about an hour)
	@$(BIN)/python -m benchmarks

bench-quick: .venv/.dev ## Measure the same on small stores, once each (under 3 minutes)
	@$(BIN)/python -m benchmarks --quick

mutation: .venv/.dev ## Break the pure modules in small ways and count the mutants that the tests kill
	@rm -rf mutants
	@ln -sfn include src  # mutmut accepts no other name for a source root
	@$(BIN)/mutmut run && $(BIN)/python -m benchmarks.mutation; status=$$?; rm -f src; exit $$status

lock: .venv/.dev ## Resolve pyproject.toml and requirements*.in into the pinned requirements*.txt
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile --universal --python-version 3.11 --no-header --no-annotate --upgrade --extra devtools --extra postgresql pyproject.toml requirements.in -o requirements.txt
	@$(BIN)/uv pip compile --universal --python-version 3.11 --no-header --no-annotate --upgrade requirements-dev.in -o requirements-dev.txt
	@$(BIN)/uv pip compile --universal --python-version 3.11 --no-header --no-annotate --upgrade --extra devtools --extra postgresql pyproject.toml requirements-fab.in -o requirements-fab.txt
	@$(BIN)/uv pip compile --universal --python-version 3.11 --no-header --no-annotate --upgrade --extra devtools --extra postgresql pyproject.toml requirements-cluster.in -o requirements-cluster.txt
	@$(BIN)/uv pip compile --universal --python-version 3.11 --no-header --no-annotate --upgrade requirements-litellm.in -o requirements-litellm.txt
	@$(BIN)/uv pip compile --universal --python-version 3.11 --no-header --no-annotate --upgrade requirements-inspect.in -o requirements-inspect.txt

.venv/.run: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else \
	  f"This project needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is {sys.version.split()[0]}. Next: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || { echo "Creating .venv"; $(PYTHON) -m venv .venv; }
	@echo "Installing requirements.txt into .venv (Airflow and what it needs, about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/.dev: .venv/.run requirements-dev.txt
	@echo "Installing requirements-dev.txt into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# An Airflow with roles for one test, in a separate environment, because its pins differ from those of the product.
.venv-fab/.done: .venv/.run requirements-fab.txt
	@test -x .venv-fab/bin/python || $(BIN)/python -m venv .venv-fab
	@echo "Installing requirements-fab.txt into .venv-fab"
	@.venv-fab/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-fab.txt
	@touch $@

# An Airflow with Celery, which other users of the project do not need. It holds to the same versions.
.venv-cluster/.done: requirements-cluster.txt pyproject.toml
	@test -x .venv-cluster/bin/python || $(PYTHON) -m venv .venv-cluster
	@echo "Installing requirements-cluster.txt into .venv-cluster (about a minute)"
	@.venv-cluster/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-cluster.txt
	@.venv-cluster/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# A LiteLLM proxy for the tests in tests/litellm, in a separate environment for the same reason.
.venv-litellm/.done: .venv/.run requirements-litellm.txt
	@test -x .venv-litellm/bin/python || $(BIN)/python -m venv .venv-litellm
	@echo "Installing requirements-litellm.txt into .venv-litellm (about a minute)"
	@.venv-litellm/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-litellm.txt
	@touch $@

# The reader of inspect_ai for one test, in a separate environment, because its pins contradict those of the product.
.venv-inspect/.done: .venv/.run requirements-inspect.txt
	@test -x .venv-inspect/bin/python || $(BIN)/python -m venv .venv-inspect
	@echo "Installing requirements-inspect.txt into .venv-inspect"
	@.venv-inspect/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-inspect.txt
	@touch $@
