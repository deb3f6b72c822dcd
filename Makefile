# Everything goes through .venv; a target installs what it needs, and does so once.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help install run test examples coverage test-store test-faults test-cluster test-deploy test-volume test-browser lint bench reference docs docs-links clean

help:
	@echo "make run      a synthetic year through the whole pipeline, on eight workers"
	@echo "              (make run ARGS='--source DIR' for real months)"
	@echo "make test     lint, types and tests"
	@echo "make coverage the tests again, with the lines that they reach, workers and all"
	@echo "make test-store   the store's promises on a real S3 server, which it installs"
	@echo "make test-faults  kills runs by the dozen, on a disk and on the S3 server; prints the figures"
	@echo "make test-cluster runs on several hosts (network namespaces), by SSH, by Slurm and from images: as root; installs"
	@echo "              Debian's packages for it, where they lack; prints the figures"
	@echo "make test-deploy  of these the last: docker-compose reads its file; the images are built and run"
	@echo "make test-volume  monitoring stays silent on a steady year at a hundred times the rows"
	@echo "make test-browser what a person sees in a browser: chromium, which it installs where it can"
	@echo "make examples executes the notebooks in place; TOYTIP_EXAMPLE_SOURCE names real months of 2020"
	@echo "make lint     ruff, mypy, the import contracts and the language check alone"
	@echo "make docs     the docs as a site, in build/docs; make docs-links: whether what they point to elsewhere is there"
	@echo "make reference  docs/reference/ anew, from the code"
	@echo "make bench    toytip beside its peers, on a small year; ARGS='run --help' for more"
	@echo "make install  the virtual environment alone;  make clean  remove all that is made"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "toytip needs Python 3.11 or later; say which: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -d .venv || $(PYTHON) -m venv .venv || \
	  { echo "python3 -m venv does not work here; on Debian: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: $(STAMP)
	$(BIN)/toytip run --workers 8 $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

# Workers are processes of their own: coverage starts in each (`patch = subprocess`), and their files are combined.
coverage: $(STAMP)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

STORE_STAMP := .venv/.store-installed
$(STORE_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,object-store]'
	@touch $@

test-store: $(STORE_STAMP)
	$(BIN)/python -m pytest -m object_store tests/system/test_object_store.py $(ARGS)

test-faults: $(STORE_STAMP)
	$(BIN)/python -m pytest -m faults tests/system/test_faults.py $(ARGS)

# sshd, Slurm, buildah: `tests.support.requirements` takes from apt what lacks, or says why it cannot, and what is skipped then.
CLUSTER_STAMP := .venv/.cluster-installed
$(CLUSTER_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,object-store,ssh,slurm,deploy]'
	@touch $@

test-cluster: $(CLUSTER_STAMP)
	$(BIN)/python -m tests.support.requirements
	$(BIN)/python -m pytest -m 'hosts or deploy' tests/cluster/test_deploy_files.py tests/system/test_deploy.py tests/cluster/test_cluster.py \
	  tests/cluster/test_deployers.py tests/cluster/test_adaptive.py tests/system/test_hosts.py $(ARGS)

DEPLOY_STAMP := .venv/.deploy-installed
$(DEPLOY_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,deploy]'
	@touch $@

test-deploy: $(DEPLOY_STAMP)
	$(BIN)/python -m tests.support.requirements images hosts
	$(BIN)/python -m pytest -m deploy tests/cluster/test_deploy_files.py tests/system/test_deploy.py $(ARGS)

test-volume: $(STAMP)
	$(BIN)/python -m pytest -m volume tests/monitoring/test_monitoring.py $(ARGS)

examples: $(STAMP)
	$(BIN)/python -m examples.execute

BENCH := run --workers 2,8 --repeats 2
bench: $(STAMP)
	$(BIN)/python -m benchmarks $(or $(ARGS),$(BENCH))

# Pages of commands, settings and columns, as the code has them now; they are committed, so that they can be read without a site.
reference: $(STAMP)
	$(BIN)/python -m docs.generate

DOCS_STAMP := .venv/.docs-installed
$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	@touch $@

# The source is the repository, so that links between docs/ and cluster/ are those that GitHub follows. Warnings are errors.
SPHINX := $(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --nitpicky --fresh-env -c docs -d build/doctrees

docs: $(DOCS_STAMP) reference
	$(SPHINX) -b html . build/docs
	@echo "build/docs/index.html"

docs-links: $(DOCS_STAMP)
	$(SPHINX) -b linkcheck . build/links

# Debian's chromium, where it is not there and apt is; any other system brings its own.
test-browser: $(DOCS_STAMP)
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || \
	  apt-get install -y -qq chromium >/dev/null || \
	  { echo "no chromium on the path, and apt cannot install it: install Chromium or Chrome"; exit 1; }
	$(BIN)/python -m pytest -m browser tests/ $(ARGS)

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* \
	  build dist toytip-store toytip-data
