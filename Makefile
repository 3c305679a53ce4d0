# make demo, make test: all that a new machine needs is Python 3.11 or later with venv, and make.
# Everything is installed into .venv, from the exact versions and hashes in requirements/.

PYTHON ?= python3
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet --require-hashes
LOCK := $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
  --no-emit-index-url --no-emit-find-links
export PYTHONDONTWRITEBYTECODE := 1
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test check mutants sample docs bench characteristics lock clean-venv

help:
	@echo "make install  put the lab and all it needs into .venv, and run nothing (half a minute)"
	@echo "make demo     run scenarios/quickstart on an embedded PostgreSQL and write its plan (about two minutes)"
	@echo "make test     all tests; those that need a Docker engine say so where there is none"
	@echo "make check    format, lint, types and the tests of the pure layers (seconds)"
	@echo "make mutants  break the code in known places; every break must turn its test red (ONLY=word, ONLY=-word)"
	@echo "make sample   run the sample of results/ and its plan in tests/golden again (a quiet machine, a minute)"
	@echo "make docs     write docs/commands.md, the reference of all commands, from the code"
	@echo "make bench    the project's figures (ONLY=name,name for some)"
	@echo "make characteristics  simulate the judge's operating characteristics: docs/calibration.md (minutes)"
	@echo "make lock     renew requirements/*.lock from pyproject.toml"

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); the lab needs Python 3.11 or later (make demo PYTHON=python3.11)"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "this Python has no venv; install it (Debian, Ubuntu: apt-get install python3-venv)"; exit 2; }
	@rm -rf .venv
	@echo "making .venv ..."
	@$(PYTHON) -m venv .venv
	@touch .venv/made

.venv/run: .venv/made requirements/build.lock requirements/run.lock pyproject.toml
	@echo "installing what the lab needs ..."
	@$(PIP) -r requirements/build.lock
	@$(PIP) --no-build-isolation -r requirements/run.lock
	@$(PY) -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@touch .venv/run

.venv/dev: .venv/run requirements/dev.lock
	@echo "installing what the tests need ..."
	@$(PIP) --no-build-isolation -r requirements/dev.lock
	@touch .venv/dev

install: .venv/run

demo: .venv/run
	@$(PY) -m lab.cli run scenarios/quickstart --on embedded || [ $$? -eq 1 ]

test: .venv/dev
	@$(PY) -m pytest

check: .venv/dev
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -m pytest -q -m "not server and not docker and not long"

mutants: .venv/dev
	@$(PY) tests/mutate.py $(ONLY)

sample: .venv/dev
	@$(PY) -m tests.golden.remake

docs: .venv/dev
	@$(PY) -m tests.reference

bench: .venv/dev
	@$(PY) -m tests.benchmarks $(ONLY)

characteristics: .venv/dev
	@$(PY) -m tests.benchmarks.characteristics

lock: .venv/made
	@$(PY) -m pip --disable-pip-version-check install --quiet 'uv>=0.5'
	@$(LOCK) --upgrade --output-file requirements/build.lock requirements/build.in
	@$(LOCK) --upgrade --extra dev --extra flights --extra tpch --output-file requirements/dev.lock pyproject.toml
	@$(LOCK) --extra flights --constraint requirements/dev.lock --output-file requirements/run.lock pyproject.toml
