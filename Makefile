# Every target uses .venv, and installs the packages that it needs once. `make run` needs only toytip's own dependencies.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DEV_STAMP := .venv/.dev-installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# The checks of `make lint`, which run in parallel. The one that takes the longest is the first.
LINTERS := lint-types lint-contracts lint-language lint-ruff

# Some systems tell Python to store no compiled modules. Each start of toytip would then take seconds longer.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install install-dev run test examples coverage test-store test-faults test-cluster test-deploy test-volume test-browser test-fuzz lint $(LINTERS) bench bench-data reference docs docs-links clean

help:
	@echo "make run           Run the pipeline on a synthetic year with eight workers (ARGS='--source DIR' for real months)"
	@echo "make test          Run lint, type checks and tests (ARGS='-k store' selects tests)"
	@echo "make lint          Run ruff, mypy, the import contracts and the language check"
	@echo "make coverage      Run the tests and report line coverage, workers included"
	@echo "make test-store    Test the store on an S3 server, and the registry on an MLflow server (installs both)"
	@echo "make test-faults   Kill runs at many points, on a local disk and on S3, and print the figures"
	@echo "make test-cluster  Test SSH, Slurm, images and network partitions on several hosts (needs root)"
	@echo "make test-deploy   Test the Docker Compose and Kubernetes files, and the images (needs root)"
	@echo "make test-volume   Test monitoring, estimators, the server and the memory of a run with many rows"
	@echo "make test-browser  Test the report, the run dashboard, the benchmark page and the site in Chromium"
	@echo "make test-fuzz     Send any files, trips and requests through toytip (FUZZ_EXAMPLES=2000 per law)"
	@echo "make examples      Execute the notebooks (TOYTIP_EXAMPLE_SOURCE names real months of 2020)"
	@echo "make reference     Generate docs/reference from the code, and tables and a page from benchmarks/results"
	@echo "make docs          Build the documentation site in build/docs"
	@echo "make docs-links    Check the external links of the documentation"
	@echo "make bench         Compare toytip with other programs on two workloads (ARGS='run --help' lists the options)"
	@echo "make bench-data    Inject faults into months and count which the data check finds (ARGS='--data DIR')"
	@echo "make install       Create the virtual environment with toytip, and nothing else"
	@echo "make install-dev   Add the development tools to the virtual environment"
	@echo "make clean         Delete everything that these targets create"

install: $(STAMP)
install-dev: $(DEV_STAMP)

# Python compiles the modules that a run imports. To compile all modules, pip would need 0.2 GB of disk space more.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: toytip needs Python 3.11 or later"; echo "hint: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -d .venv || $(PYTHON) -m venv .venv || \
	  { echo "error: cannot create a virtual environment"; echo "hint: on Debian, install python3-venv"; exit 1; }
	$(PIP) --no-compile -e .
	@touch $@

$(DEV_STAMP): $(STAMP)
	$(PIP) -e '.[dev]'
	@touch $@

run: $(STAMP)
	$(BIN)/toytip run --workers 8 $(ARGS)

lint: $(DEV_STAMP)
	@$(MAKE) --no-print-directory --keep-going --jobs=4 $(LINTERS)

lint-types:
	$(BIN)/mypy

lint-contracts:
	$(BIN)/lint-imports --no-cache

lint-language:
	$(BIN)/python -m tests.support.language

lint-ruff:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The order of the files is that of `tests/conftest.py`, which puts files with slow tests first.
test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# Workers are separate processes. Coverage starts in each (`patch = subprocess`), and their files are combined.
coverage: $(DEV_STAMP)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

STORE_STAMP := .venv/.store-installed
$(STORE_STAMP): $(DEV_STAMP)
	$(PIP) -e '.[dev,object-store,delta,cloud]'
	@touch $@

# The server of MLflow needs an older pyarrow than toytip, and therefore has an environment of its own.
MLFLOW_STAMP := .venv/.mlflow-installed
$(MLFLOW_STAMP): $(STORE_STAMP)
	$(PYTHON) -m venv .venv/mlflow
	grep -v "^pyarrow==" constraints.txt > .venv/mlflow-constraints.txt
	.venv/mlflow/bin/python -m pip install --quiet --disable-pip-version-check -c .venv/mlflow-constraints.txt mlflow
	@touch $@

# The tests of Azure also need an emulator that is not on PyPI: `npm install --global azurite`.
test-store: $(MLFLOW_STAMP)
	$(BIN)/python -m pytest -m object_store tests/system/test_object_store.py tests/system/test_object_store_faults.py $(ARGS)
	$(BIN)/python -m pytest tests/sources/test_delta.py
	$(BIN)/python -m pytest -m object_store tests/sources/test_cloud_sources.py tests/models/test_mlflow_server.py

test-faults: $(STORE_STAMP)
	$(BIN)/python -m pytest -m faults tests/system/test_faults.py tests/system/test_commit_faults.py $(ARGS)

# `tests.support.requirements` installs sshd, Slurm and buildah with apt, or reports why it cannot and which tests are skipped.
CLUSTER_STAMP := .venv/.cluster-installed
$(CLUSTER_STAMP): $(DEV_STAMP)
	$(PIP) -e '.[dev,object-store,ssh,slurm,deploy]'
	@touch $@

test-cluster: $(CLUSTER_STAMP)
	$(BIN)/python -m tests.support.requirements
	$(BIN)/python -m pytest -m 'hosts or deploy' tests/cluster/test_deploy_files.py tests/system/test_deploy.py \
	  tests/cluster/test_deployers.py tests/cluster/test_adaptive.py tests/system/test_hosts.py $(ARGS)

DEPLOY_STAMP := .venv/.deploy-installed
$(DEPLOY_STAMP): $(DEV_STAMP)
	$(PIP) -e '.[dev,deploy]'
	@touch $@

test-deploy: $(DEPLOY_STAMP)
	$(BIN)/python -m tests.support.requirements images hosts
	$(BIN)/python -m pytest -m deploy tests/cluster/test_deploy_files.py tests/system/test_deploy.py $(ARGS)

test-volume: $(DEV_STAMP)
	$(BIN)/python -m pytest -m volume tests/monitoring/test_comparison.py tests/serving/test_exactness.py \
	  tests/training/test_exact_estimators.py tests/training/test_estimators_on_clusters.py \
	  tests/system/test_one_row_group.py $(ARGS)

# All laws of the tests with more and different examples, and Schemathesis against `toytip serve`.
FUZZ_STAMP := .venv/.fuzz-installed
$(FUZZ_STAMP): $(DEV_STAMP)
	$(PIP) -e '.[dev,fuzz]'
	@touch $@

FUZZ_EXAMPLES ?= 2000
test-fuzz: $(FUZZ_STAMP)
	TOYTIP_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest -m 'fuzz or hypothesis' --timeout 0 -o faulthandler_timeout=0 \
	  tests/stages/test_values.py tests/sources/test_any_table.py tests/serving/ $(ARGS)

examples: $(DEV_STAMP)
	$(BIN)/python -m examples.execute

BENCH := run --workloads eleven-features,defaults --repeats 2 \
  --peers lower_bound,polars_xgboost,polars_tuned,duckdb_xgboost,polars_defaults
bench: $(DEV_STAMP)
	$(BIN)/python -m benchmarks $(or $(ARGS),$(BENCH))

bench-data: $(DEV_STAMP)
	$(BIN)/python -m benchmarks.data_check $(ARGS)

# The pages are committed, so that you can read them without building the site.
reference: $(DEV_STAMP)
	$(BIN)/python -m docs.generate

DOCS_STAMP := .venv/.docs-installed
$(DOCS_STAMP): $(DEV_STAMP)
	$(PIP) -e '.[dev,docs]'
	@touch $@

# Sphinx reads the whole repository, so that links between docs/ and cluster/ work on GitHub as well. Warnings are errors.
SPHINX := $(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --nitpicky --fresh-env -c docs -d build/doctrees

docs: $(DOCS_STAMP) reference
	$(SPHINX) -b html . build/docs
	@echo "build/docs/index.html"

docs-links: $(DOCS_STAMP)
	$(SPHINX) -b linkcheck . build/links

# Installs Chromium with apt if it is missing. Other systems must provide Chromium or Chrome.
test-browser: $(DOCS_STAMP)
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || \
	  apt-get install -y -qq chromium >/dev/null || \
	  { echo "error: cannot find or install Chromium"; echo "hint: install Chromium or Chrome"; exit 1; }
	$(BIN)/python -m pytest -m browser tests/ $(ARGS)

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* .schemathesis \
	  build dist toytip-store toytip-data
