# The one entry point for users and developers. `make quickstart` and `make test` build their
# environment when it is missing; they need python3 and make, nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
WORKERS ?= 2

.PHONY: help install dev quickstart test check lint types ladder pytest format clean

help:
	@echo "make quickstart   the whole chain on bundled Geant4 showers (a few minutes)"
	@echo "make test         linter, types, import ladder and tests"
	@echo "make install      the package in $(VENV)"
	@echo "make dev          the same, with the development tools"
	@echo "make format       format the code"
	@echo "make clean        remove $(VENV) and build results"

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is too old: Python 3.11 or newer, as in: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) --editable .
	touch $@

$(VENV)/developing: $(VENV)/installed
	$(PIP) --editable ".[dev]"
	touch $@

install: $(VENV)/installed
dev: $(VENV)/developing

quickstart: $(VENV)/installed
	$(BIN)/caloforge quickstart --output quickstart

test: check pytest

check: lint types ladder

lint: $(VENV)/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/developing
	$(BIN)/mypy

ladder: $(VENV)/developing
	$(BIN)/lint-imports

pytest: $(VENV)/developing
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

format: $(VENV)/developing
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist quickstart .mypy_cache .ruff_cache .pytest_cache
