# Two commands on a fresh machine: `make certify` and `make test`. Python 3.11 or later with venv is all they need.
# The first of these that runs and is recent enough; `make PYTHON=/path/to/python ...` says which.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.set-up
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: setup certify test lint types imports schema check bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Hallmark needs Python 3.11 or later with venv: make PYTHON=/path/to/python setup"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "setting up .venv (once; again when pyproject.toml changes)"
	@$(BIN)/python -m pip install -q --upgrade pip
	@$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $(STAMP)

certify: setup
	@$(BIN)/hallmark models build specs
	@$(BIN)/hallmark run specs

test: setup
	@$(BIN)/pytest -n auto -q

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: setup
	@$(BIN)/mypy

imports: setup
	@$(BIN)/lint-imports

schema: setup
	@$(BIN)/hallmark schema --write

check: lint types imports test

bench: setup
	@$(BIN)/python benchmarks/overhead.py
	@$(BIN)/python benchmarks/batching.py
	@$(BIN)/python benchmarks/determinism.py
	@$(BIN)/python benchmarks/validity --quick

clean:
	rm -rf .venv runs
