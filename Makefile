# Everything a developer does here. `make` alone says what there is.

PYTHON ?= python3
# Empty: Airflow and all else as uv.lock has it. A version, such as 3.2.2: that Airflow, with what there was in its time.
AIRFLOW ?=
AIRFLOW_AS_OF ?= 2026-07-01
# Empty: the checkout, editable. A path, such as dist/*.whl: that wheel is installed, and all tests import it.
WHEEL ?=
UV ?= $(or $(shell command -v uv),.venv-tools/bin/uv)
# Most tests wait for something, so there are more workers than cores.
WORKERS ?= 4
SIDE_BY_SIDE := -n $(WORKERS) --dist loadgroup
# More for pytest or a benchmark, such as ARGS="-x -k token".
ARGS ?=

VENV := .venv$(if $(AIRFLOW),-airflow-$(AIRFLOW))$(if $(WHEEL),-wheel)
BIN := $(if $(WHEEL),$(CURDIR)/)$(VENV)/bin
SYNCED := $(VENV)/.synced
MEASURED := $(VENV)/.measured
DOCUMENTED := $(VENV)/.documented
# What runs here is the Python that is there, and what was locked.
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(VENV)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
BENCHMARKS := bench-imports bench-submission bench-limit bench-tokens bench-receiver bench-waiting bench-sync
.PHONY: help venv lock build wheel-tests format lint types test test-unit test-integration test-system coverage faults \
	fuzz chromium bench $(BENCHMARKS) docs demo screenshot clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "make %-17s %s\n", $$1, $$2}'

# --- the environment ----------------------------------------------------------------------------------

venv: $(SYNCED) ## The virtual environment .venv, from uv.lock (PYTHON=python3.12, AIRFLOW=3.2.2 or WHEEL=dist/*.whl for another)

.venv-tools/bin/uv:
	@echo "Installing uv into .venv-tools"
	@$(PYTHON) -m venv .venv-tools
	@.venv-tools/bin/pip install --quiet --disable-pip-version-check "uv>=0.9"

$(BIN)/python: | $(UV)
	@$(UV) venv --quiet --python "$$(command -v $(PYTHON))" $(VENV)

ifeq ($(AIRFLOW),)
$(SYNCED): uv.lock pyproject.toml $(WHEEL) | $(BIN)/python
	@echo "Installing into $(VENV) what uv.lock says"
	@$(UV) sync --quiet --locked $(if $(WHEEL),--no-install-project)
	@$(if $(WHEEL),$(UV) pip install --quiet --python $(BIN)/python --reinstall --no-deps $(WHEEL))
	@touch $@
else
# Not by uv.lock, which holds one Airflow.
$(SYNCED): pyproject.toml $(WHEEL) | $(BIN)/python
	@echo "Installing into $(VENV) Airflow $(AIRFLOW), as of $(AIRFLOW_AS_OF)"
	@$(UV) pip install --quiet --python $(BIN)/python --exclude-newer $(AIRFLOW_AS_OF) \
		"apache-airflow==$(AIRFLOW)" $(or $(WHEEL),--editable .) --group dev
	@touch $@
endif

# The checkout comes first on sys.path, so a wheel is tested from a copy of the checkout that lacks the package.
ifneq ($(WHEEL),)
TESTS := build/wheel-tests
IN := cd $(TESTS) &&
READY := wheel-tests

wheel-tests: venv
	@rm -rf $(TESTS) && mkdir -p $(TESTS)
	@tar -cf - --exclude='./.*' --exclude=./airflow_provider_123pan --exclude=./build --exclude=./dist \
		--exclude=__pycache__ . | tar -xf - -C $(TESTS)
	@$(IN) $(BIN)/python -c 'import airflow_provider_123pan as package; print("Testing", package.__file__); \
		assert "site-packages" in package.__file__'
else
READY := venv
endif

lock: | $(UV) ## Bring uv.lock in line with pyproject.toml (ARGS=--upgrade for the newest of all)
	$(UV) lock --python "$$(command -v $(PYTHON))" $(ARGS)

# --- the package --------------------------------------------------------------------------------------

build: export UV_PROJECT_ENVIRONMENT := .venv-build
build: | $(UV) ## The wheel and the sdist in dist/, checked
	rm -rf dist
	$(UV) build --quiet --python "$$(command -v $(PYTHON))"
	@$(UV) sync --quiet --locked --only-group build --python "$$(command -v $(PYTHON))"
	.venv-build/bin/twine check --strict dist/*
	.venv-build/bin/check-wheel-contents dist/*.whl

# --- checks -------------------------------------------------------------------------------------------

format: venv ## Put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: venv ## ruff: rules, docstrings and form; codespell; import-linter: which module may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/lint-imports --no-logo

types: venv ## mypy, strict
	$(BIN)/mypy

test: lint types $(READY) chromium ## All of it: lint, types, then every test (about 6 minutes on two cores)
	$(IN) $(BIN)/pytest $(SIDE_BY_SIDE) $(ARGS)

test-unit: $(READY) ## Tests without a network
	$(IN) $(BIN)/pytest tests/unit $(ARGS)

test-integration: $(READY) ## Tests against the sandbox over HTTP
	$(IN) $(BIN)/pytest $(SIDE_BY_SIDE) tests/integration $(ARGS)

coverage: $(READY) ## Lines and branches that the tests without a real Airflow cover, with the floor of CI
	$(IN) $(BIN)/pytest $(SIDE_BY_SIDE) tests/unit tests/integration tests/golden --cov --cov-fail-under=94 $(ARGS)

test-system: $(READY) chromium ## Tests in a real Airflow, and in its UI
	$(IN) $(BIN)/pytest tests/system $(ARGS)

faults: $(READY) ## Kill the parts of a real Airflow, at every step of a task and in between (long; not part of test)
	$(IN) $(BIN)/pytest -m faults $(ARGS)

fuzz: $(READY) ## 100,000 forged callbacks, all of which must be refused (minutes; not part of test)
	$(IN) $(BIN)/python -m tests.benchmarks.fuzz $(ARGS)

# Only where it can be had without a question: as root on Debian. Elsewhere the tests that need it say so and skip.
chromium:
	@if (command -v chromium || command -v chromium-browser || command -v google-chrome) >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Chromium is missing, installing Debian's"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
			chromium fonts-dejavu-core >/dev/null; } || echo "It did not work: tests of the UI will be skipped"; \
	else echo "No Chromium: tests of the UI will be skipped"; fi

# --- figures ------------------------------------------------------------------------------------------

# What the benchmarks measure against is not part of .venv by itself.
$(MEASURED): $(SYNCED)
ifeq ($(AIRFLOW),)
	@$(UV) sync --quiet --locked --inexact --group bench
else
	@$(UV) pip install --quiet --python $(BIN)/python --exclude-newer $(AIRFLOW_AS_OF) \
		"apache-airflow==$(AIRFLOW)" --group bench
endif
	@touch $@

bench: $(BENCHMARKS) ## All of the following, one after the other (let nothing else run)

bench-imports: ## What a DAG file's import costs
bench-submission: ## Submissions a second
bench-limit: ## How much of the service's unpublished limit is used
bench-tokens: ## Logins of many processes that start at once
bench-receiver: ## Callbacks stored a second (ARGS=--mounted: in Airflow's API server)
bench-waiting: ## What waiting costs, and how soon a callback ends it
bench-sync: ## Speed and memory of a batch in one task (ARGS="--only speed", limit or memory)
$(BENCHMARKS): $(MEASURED)
	$(BIN)/python -m tests.benchmarks.$(@:bench-%=%) $(ARGS)

# --- documentation ------------------------------------------------------------------------------------

# Sphinx and its theme are not part of .venv by default.
$(DOCUMENTED): $(SYNCED)
ifeq ($(AIRFLOW),)
	@$(UV) sync --quiet --locked --inexact --group docs
else
	@$(UV) pip install --quiet --python $(BIN)/python --exclude-newer $(AIRFLOW_AS_OF) \
		"apache-airflow==$(AIRFLOW)" --group docs
endif
	@touch $@

docs: $(DOCUMENTED) ## Build the documentation into build/docs (warnings are errors)
	$(BIN)/sphinx-build -W --keep-going -n --quiet --fresh-env --builder html $(ARGS) docs build/docs
	@echo "Open build/docs/index.html"

# --- to look at ---------------------------------------------------------------------------------------

demo: $(READY) ## Airflow moves images to a local 123pan, before your eyes (ONCE=1: end when they arrived)
	@$(IN) $(BIN)/python -m dev.demo $(if $(ONCE),--once)

screenshot: venv chromium ## The picture of the connection form in the documentation
	$(BIN)/python -m dev.screenshot docs/connection-form.png

clean: ## Remove environments, caches and what was built
	rm -rf .venv .venv-* build dist .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
