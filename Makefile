# The commands for developers. `make` without a target lists them.

PYTHON ?= python3
# Empty: the versions in uv.lock. A version such as 3.2.2: that Airflow, with the packages of AIRFLOW_AS_OF.
AIRFLOW ?=
AIRFLOW_AS_OF ?= 2026-07-01
# Empty: an editable install of the checkout. A path such as dist/*.whl: that wheel, which all tests then import.
WHEEL ?=
UV ?= $(or $(shell command -v uv),.venv-tools/bin/uv)
# Most tests wait for something, so there are more workers than cores.
WORKERS ?= 4
SIDE_BY_SIDE := -n $(WORKERS) --dist loadscope --no-loadscope-reorder
# Where the distributed Airflow stores callbacks: its own database (PostgreSQL) if empty, or mariadb.
INBOX ?=
# Airflow's constraints, a file or a URL, for constraints-check. Empty: what Airflow brought on the day of its release.
CONSTRAINTS ?=
CONSTRAINED_AIRFLOW ?= 3.3.2
RELEASED_AS_OF ?= 2026-09-18
# Further arguments for pytest or a benchmark, such as ARGS="-x -k token".
ARGS ?=

VENV := .venv$(if $(AIRFLOW),-airflow-$(AIRFLOW))$(if $(WHEEL),-wheel)
BIN := $(if $(WHEEL),$(CURDIR)/)$(VENV)/bin
SYNCED := $(VENV)/.synced
MEASURED := $(VENV)/.measured
DOCUMENTED := $(VENV)/.documented
CLUSTERED := .venv-cluster/.synced
# uv uses the installed Python, and the virtual environment above.
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(VENV)
# The tests start many processes, each of which would otherwise compile Airflow again.
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
BENCHMARKS := bench-imports bench-submission bench-limit bench-limiters bench-tokens bench-receiver bench-waiting bench-sync bench-pages bench-rewriting bench-page bench-scale bench-cluster
.PHONY: help venv lock build build-check constraints-check audit wheel-tests format lint types test test-unit test-integration test-system test-s3 test-lowest coverage \
	faults faults-cluster soak sites fuzz cluster chromium chinese-font mariadb servers bench $(BENCHMARKS) docs demo recording screenshot clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "make %-17s %s\n", $$1, $$2}'

# --- the environment ----------------------------------------------------------------------------------

venv: $(SYNCED) ## Create the virtual environment .venv from uv.lock (PYTHON=python3.12, AIRFLOW=3.2.2 or WHEEL=dist/*.whl for others)

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
# uv.lock has only one version of Airflow.
$(SYNCED): pyproject.toml $(WHEEL) | $(BIN)/python
	@echo "Installing into $(VENV) Airflow $(AIRFLOW), as of $(AIRFLOW_AS_OF)"
	@$(UV) pip install --quiet --python $(BIN)/python --exclude-newer $(AIRFLOW_AS_OF) \
		"apache-airflow==$(AIRFLOW)" $(or $(WHEEL),--editable .) --group dev
	@touch $@
endif

# The current directory comes first on sys.path, so a wheel is tested in a copy of the checkout without the package.
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

lock: | $(UV) ## Update uv.lock after a change of pyproject.toml (ARGS=--upgrade for the newest versions)
	$(UV) lock --python "$$(command -v $(PYTHON))" $(ARGS)

# --- the package --------------------------------------------------------------------------------------

build: export UV_PROJECT_ENVIRONMENT := .venv-build
build: | $(UV) ## Build and check the wheel and the sdist in dist/
	rm -rf dist
	$(UV) build --quiet --python "$$(command -v $(PYTHON))"
	@$(UV) sync --quiet --locked --only-group build --python "$$(command -v $(PYTHON))"
	.venv-build/bin/twine check --strict dist/*
	.venv-build/bin/check-wheel-contents dist/*.whl
	@.venv-build/bin/python -m dev.description dist/*.whl

# As a user would: the wheel decides which packages come with it, in their newest versions.
build-check: venv ## Migrate an image with the wheel in dist/, in an environment with nothing but Airflow (not part of test)
	@test -f dist/*.whl || { echo "There is no wheel in dist/; run make build"; exit 1; }
	@rm -rf .venv-user && $(UV) venv --quiet --python "$$(command -v $(PYTHON))" .venv-user
	$(UV) pip install --quiet --python .venv-user/bin/python dist/*.whl
	$(BIN)/python -m dev.build_check .venv-user

# As a user would who has Airflow already: nothing of it may change.
constraints-check: | $(UV) ## Check that the wheel in dist/ changes no package of Airflow 3.3.2 (CONSTRAINTS=URL, CONSTRAINED_AIRFLOW=3.2.2 for another)
	@test -f dist/*.whl || { echo "There is no wheel in dist/; run make build"; exit 1; }
	@mkdir -p build && rm -rf .venv-constraints
	@$(UV) venv --quiet --python "$$(command -v $(PYTHON))" .venv-constraints
	$(UV) pip install --quiet --python .venv-constraints/bin/python \
		$(if $(CONSTRAINTS),--constraint $(CONSTRAINTS),--exclude-newer $(RELEASED_AS_OF)) "apache-airflow==$(CONSTRAINED_AIRFLOW)"
	@$(UV) pip freeze --quiet --python .venv-constraints/bin/python >build/constraints.txt
	$(UV) pip install --quiet --python .venv-constraints/bin/python --constraint build/constraints.txt dist/*.whl
	@$(UV) pip freeze --quiet --python .venv-constraints/bin/python | grep -v ^airflow-provider-123pan | diff build/constraints.txt -
	@$(UV) pip check --quiet --python .venv-constraints/bin/python
	@.venv-constraints/bin/airflow providers list 2>/dev/null | grep 123pan
	@echo "The wheel adds nothing but itself to the $$(wc -l <build/constraints.txt) packages of Airflow $(CONSTRAINED_AIRFLOW)"

audit: export UV_PROJECT_ENVIRONMENT := .venv-audit
audit: | $(UV) ## Look up known vulnerabilities of all packages in uv.lock (asks PyPI about each)
	@mkdir -p build
	@$(UV) sync --quiet --locked --only-group audit --python "$$(command -v $(PYTHON))"
	@$(UV) export --quiet --locked --all-extras --all-groups --no-emit-project --output-file build/requirements.txt
	.venv-audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement build/requirements.txt $(ARGS)

# --- checks -------------------------------------------------------------------------------------------

format: venv ## Format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: venv ## Run ruff, codespell, and import-linter for the imports between modules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/lint-imports --no-logo

types: venv ## Run mypy in strict mode
	$(BIN)/mypy

# The tools and Airflow's types are those of uv.lock, so they check the code only there.
test: $(if $(AIRFLOW),,lint types) $(READY) chromium mariadb ## Run lint, types and all tests (about 6 minutes on two cores)
	$(IN) $(BIN)/pytest $(SIDE_BY_SIDE) $(ARGS)

test-unit: $(READY) ## Run the tests that need no network
	$(IN) $(BIN)/pytest tests/unit $(ARGS)

test-integration: $(READY) mariadb ## Run the tests against the sandbox
	$(IN) $(BIN)/pytest $(SIDE_BY_SIDE) tests/integration $(ARGS)

coverage: $(READY) ## Measure the coverage of all tests but those in a real Airflow; fail below 94 %
	$(IN) $(BIN)/pytest $(SIDE_BY_SIDE) tests/unit tests/integration tests/golden --cov --cov-fail-under=94 $(ARGS)

test-system: $(READY) chromium ## Run the tests in a real Airflow and its UI
	$(IN) $(BIN)/pytest tests/system $(ARGS)

test-s3: export UV_PROJECT_ENVIRONMENT := .venv-s3
test-s3: | $(UV) ## Run the tests of private buckets against a double of S3, in .venv-s3 (100 MB more than .venv; not part of test)
	@$(UV) sync --quiet --locked --group s3 --python "$$(command -v $(PYTHON))"
	.venv-s3/bin/pytest -m s3 tests/integration/fetching $(ARGS)

# The tools come first, because some of them want newer versions of what the package imports.
test-lowest: | $(UV) ## Run the tests that need no network with the lowest versions that pyproject.toml allows, in .venv-lowest (not part of test)
	@$(UV) venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" .venv-lowest
	@$(UV) pip install --quiet --python .venv-lowest/bin/python --editable . --group dev
	@$(UV) pip install --quiet --python .venv-lowest/bin/python --upgrade --resolution lowest-direct \
		--editable ".[convert,parquet,sandbox]"
	.venv-lowest/bin/pytest tests/unit $(SIDE_BY_SIDE) $(ARGS)

faults: $(READY) ## Run the tests that kill components and workers of a real Airflow (takes long; not part of test)
	$(IN) $(BIN)/pytest -m faults $(ARGS)

faults-cluster: $(CLUSTERED) ## Kill the parts of a distributed Airflow, and write build/faults.md (ARGS="--seed 7 --only worker")
	.venv-cluster/bin/python -m tests.cluster.faults $(ARGS)

soak: $(CLUSTERED) ## Run a distributed Airflow for 30 minutes, and write build/soak.md on what grows (ARGS="--minutes 5", --control)
	.venv-cluster/bin/python -m tests.cluster.soak $(ARGS)

sites: $(READY) ## Migrate sites of 1,000 pages as seven tools write them, also in tasks that are killed (not part of test)
	$(IN) $(BIN)/pytest -m sites tests/integration/pages/test_sites.py $(ARGS)

fuzz: $(READY) ## Try random inputs wherever some come from outside (takes minutes; not part of test; ARGS="protocol --seed 7" for one part)
	$(IN) $(BIN)/python -m tests.fuzz $(ARGS)

# Both are installed only as root on Debian. Elsewhere the tests that need them are skipped.
chromium:
	@if (command -v chromium || command -v chromium-browser || command -v google-chrome) >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
			chromium fonts-dejavu-core >/dev/null; } || echo "Chromium could not be installed: tests of the UI will be skipped"; \
	else echo "No Chromium found: tests of the UI will be skipped"; fi

# Without it, the screenshots in Chinese show boxes.
chinese-font:
	@if fc-list :lang=zh 2>/dev/null | grep -q .; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing a Chinese font"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
			fontconfig fonts-wqy-microhei >/dev/null; \
	else echo "No Chinese font found: install one, such as fonts-wqy-microhei" && exit 1; fi

mariadb:
	@if command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing MariaDB"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
			mariadb-server-core >/dev/null; } || echo "MariaDB could not be installed: its tests will be skipped"; \
	else echo "No MariaDB found: its tests will be skipped"; fi

# PostgreSQL, Redis and nginx for the distributed Airflow, which needs all of them.
servers: $(if $(filter mariadb,$(INBOX)),mariadb)
	@if [ -x /usr/sbin/nginx ] && command -v redis-server >/dev/null && ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing PostgreSQL, Redis and nginx"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
			postgresql redis-server nginx >/dev/null; \
	else echo "make cluster needs the packages postgresql, redis-server and nginx"; exit 1; fi

# Celery is not part of .venv.
$(CLUSTERED): export UV_PROJECT_ENVIRONMENT := .venv-cluster
$(CLUSTERED): uv.lock pyproject.toml | servers $(UV)
	@echo "Installing into .venv-cluster what uv.lock says"
	@$(UV) sync --quiet --locked --group cluster --python "$$(command -v $(PYTHON))"
	@touch $@

# --- benchmarks ------------------------------------------------------------------------------------------

# What the benchmarks compare with is not part of .venv by default.
$(MEASURED): $(SYNCED)
ifeq ($(AIRFLOW),)
	@$(UV) sync --quiet --locked --inexact --group bench
else
	@$(UV) pip install --quiet --python $(BIN)/python --exclude-newer $(AIRFLOW_AS_OF) \
		"apache-airflow==$(AIRFLOW)" --group bench
endif
	@touch $@

bench: $(BENCHMARKS) ## Run all benchmarks one after the other (on an otherwise idle machine), and write docs/benchmarks.md

bench-imports: ## Measure the imports of a DAG file
bench-submission: ## Measure submissions per second
bench-limit: ## Measure how much of an unknown rate limit is used
bench-limiters: ## Simulate every kind of rate limit, beside other ways to find one
bench-tokens: ## Count the logins of many processes that start at once
bench-receiver: ## Measure deliveries stored per second (ARGS="--only mounted": in Airflow's API server)
bench-waiting: ## Measure what waits cost, and how soon a callback ends one
bench-rewriting: ## Measure how fast pages are rewritten and searched, beside a Markdown parser
bench-sync: ## Measure speed and memory of a sync (ARGS="--only speed", limit, upload, equal or memory)
bench-pages: ## Measure a migration of pages beside a plain sync: speed, memory, linear time (ARGS="--pages 1000 2000")
bench-page: chromium ## Measure the page in Airflow's UI beside Airflow's grid (ARGS="--images 100000")
bench-scale: ## Measure what limits the number of images: simulated syncs, checkpoints, results, inbox, metadata (ARGS="--only inbox")
bench-cluster: private BIN = .venv-cluster/bin
bench-cluster: $(CLUSTERED) ## Measure receiver, waits and sync in a distributed Airflow beside a small one (INBOX=mariadb)
$(filter-out bench-cluster,$(BENCHMARKS)): $(MEASURED)
$(BENCHMARKS):
	$(BIN)/python -m tests.benchmarks.$(@:bench-%=%) $(or $(ARGS)$(INBOX:%=--inbox %),--publish)
	@$(BIN)/python -m tests.benchmarks.document

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

# --- demonstrations ---------------------------------------------------------------------------------------

demo: $(READY) ## Show how Airflow moves the images of a blog to a local 123pan (ONCE=1: end when they are checked)
	@$(IN) $(BIN)/python -m dev.demo $(if $(ONCE),--once)

cluster: $(CLUSTERED) ## Run a distributed Airflow beside a local 123pan until Ctrl-C (ONCE=1: run all example DAGs; INBOX=mariadb)
ifeq ($(ONCE),)
	@.venv-cluster/bin/python -m dev.playground $(INBOX:%=--inbox %)
else
	.venv-cluster/bin/pytest tests/system/examples --ignore tests/system/examples/test_leaks.py --timeout 1800 \
		--distributed $(INBOX:%=--inbox %) $(ARGS)
endif

recording: venv ## Record the demo for the documentation
	$(BIN)/python -m dev.demo --svg docs/images/demo.svg

screenshot: venv chromium chinese-font ## Take the screenshots of Airflow's UI for the documentation
	$(BIN)/python -m dev.screenshot docs/connection-form.png
	$(BIN)/python -m dev.page_screenshot docs/images

clean: ## Remove virtual environments, caches and build results
	rm -rf .venv .venv-* build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
