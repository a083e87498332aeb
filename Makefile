# make demo   a whole login against an authorization server of our own, in one minute from a clone
# make test   everything that must hold: style, types, tests
#
# Both need nothing but Python 3.11 or newer (PYTHON=python3.12 to choose one) and a package index.

PYTHON ?= python3
JOBS   ?= 3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo setup test coverage test-pythons test-between test-lowest lint format types pytest bench soak mutants wire diagrams docs docs-tables wheel dist release clean

help:
	@echo "make demo      watch a whole login, with nothing to configure"
	@echo "make test      style, types and tests"
	@echo "make coverage  which lines and branches of engine/ the tests run; fails below 98 %"
	@echo "make test-pythons  the sdist, built and tested on every Python at hand (PYTHONS=... to name them)"
	@echo "make test-lowest   the built wheel with the lowest versions that pyproject.toml promises"
	@echo "make test-between  a part of the tests on the Pythons between that of make test and the newest"
	@echo "make lint      style only        make format    mend it"
	@echo "make types     types only        make pytest    tests only (ARGS=...)"
	@echo "make bench     figures           make soak      the long tests"
	@echo "make mutants   break the code in small ways, and see that the tests notice (ARGS=...)"
	@echo "make wire      install the authorization server the wire tests sign in to"
	@echo "make diagrams  draw the machine  make wheel     build the package"
	@echo "make dist      all files of a release, at any commit"
	@echo "make release   the same, of a clean tree with a dated changelog; all but the upload"
	@echo "make docs      build the site in build/site, which opens without a server; warnings are errors"
	@echo "make docs-tables   write the reference of the command into docs/"
	@echo "make clean     forget everything that was made"

demo: $(VENV)/.demo
	@$(BIN)/stayfast demo

setup: $(VENV)/.dev .dev/stayfast

test: lint types pytest

lint: setup
	$(BIN)/codespell
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: setup
	$(BIN)/mypy
	$(BIN)/pyright

pytest: setup
	$(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS)

# The tests that run the engine in their own process. What a forked or started process runs is not
# measured: the campaigns of the command and the couriers show that the same code holds there.
RUNS_ENGINE := tests/engine tests/conductor tests/protocol tests/misbehaviour tests/api \
  tests/storage/test_audit_lines.py tests/storage/test_audit_tampering.py \
  tests/storage/test_records.py tests/storage/test_purge.py tests/interfaces/test_courier.py \
  tests/interfaces/test_web_backend.py tests/interfaces/test_signing_out_truthfully.py \
  tests/auth tests/conformance

# Two minutes on two cores; not a part of `make test`, which runs these tests without measuring.
coverage: setup
	$(BIN)/pytest -n $(JOBS) --dist worksteal --cov=stayfast.engine --cov-branch \
	  --cov-report=term-missing:skip-covered --cov-fail-under=98 $(RUNS_ENGINE) $(ARGS)

# The sdist, built and tested in a clean environment; WHICH=--newest or --between chooses among the Pythons. The
# packaging tests look at the clone, and run with it.
test-pythons: setup
	JOBS=$(JOBS) PYTHONS="$(PYTHONS)" .ci/pythons $(WHICH) --ignore=tests/packaging $(ARGS)

# The tests that meet what we depend on; how the rest works does not hang on their versions.
MEETS_LIBRARIES := tests/engine/test_machine.py tests/protocol tests/interfaces tests/transports \
  tests/authorization_server tests/storage/test_keyring.py tests/storage/test_contract.py \
  tests/storage/test_vault.py tests/command/test_logins.py tests/command/test_bad_inputs.py \
  tests/auth/test_auth_objects.py tests/auth/test_auth_dpop.py \
  tests/embedding/test_command_group.py::test_each_library_takes_the_group

# A Python between two on which all tests run: what we depend on may still be another there.
test-between: setup
	JOBS=$(JOBS) PYTHONS="$(PYTHONS)" .ci/pythons --between $(MEETS_LIBRARIES) $(ARGS)

test-lowest: setup
	JOBS=$(JOBS) PYTHONS="$(PYTHONS)" .ci/pythons --lowest $(MEETS_LIBRARIES) $(ARGS)

# STAYFAST_BENCH_ROUNDS=40 for calmer figures. Peers are installed under build/bench, if an index is at hand.
bench: setup
	@mkdir -p build/bench && rm -f build/bench/rows.jsonl
	@set -e; for figure in tests/bench/*.py; do \
	  STAYFAST_BENCH_ROWS=build/bench/rows.jsonl PYTHONPATH=tests/support $(BIN)/python "$$figure"; \
	done
	$(BIN)/python tests/support/performance_page.py build/bench/rows.jsonl > docs/performance.md

# -s: every campaign prints its figures
soak: setup
	$(BIN)/pytest -m soak -s $(ARGS)

# Not part of `make test`: the tests of all mutants run once each, and every mutant runs its own.
mutants: setup
	$(BIN)/python tests/mutants/run.py $(ARGS)

wire: tests/wire/node_modules/.installed

tests/wire/node_modules/.installed: tests/wire/package.json
	cd tests/wire && npm install --package-lock=false --no-audit --no-fund --loglevel=error
	@touch $@

diagrams: setup
	$(BIN)/python -m stayfast.diagrams diagrams

# NO_MKDOCS_2_WARNING: the theme advertises its successor at each build.
docs: setup $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "open build/site/index.html"

$(VENV)/.docs: $(VENV)/.dev pyproject.toml
	$(BIN)/pip install --quiet 'mkdocs>=1.6' 'mkdocs-material>=9.6' 'mkdocstrings[python]>=0.30'
	@touch $@

docs-tables: setup
	@mkdir -p docs
	$(BIN)/python -m stayfast.interfaces.cli.reference docs
	PYTHONPATH=tests/support $(BIN)/python tests/support/specifications.py > docs/specifications.md

wheel: setup
	$(BIN)/python packaging/artefacts.py dist

# Wheel, sdist, SBOM, recipes and checksums in dist/; packaging/README.md says what is checked.
dist: setup
	$(BIN)/python packaging/release.py --draft

release: setup
	$(BIN)/python packaging/release.py

# The demo needs less than the tests; an environment made for the tests serves both.
$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	@if [ ! -f $(VENV)/.dev ]; then echo "installing what the demo needs"; \
	  $(PIP) install --editable '.[demo]'; else $(PIP) install --editable '.[dev]'; fi
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@echo "installing what the tests need"
	@$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $(PYTHON) is not Python 3.11 or newer" >&2; \
	  echo "hint: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "hint: on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

# The repository is the package: this link lets tools find it under its own name.
.dev/stayfast:
	@mkdir -p .dev && ln -sfn .. $@

clean:
	rm -rf $(VENV) .pythons .dev build dist *.egg-info tests/wire/node_modules
	rm -rf .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
