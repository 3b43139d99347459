# `make demo` and `make test` build what they need on a machine with Python 3.11 or later and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench bench-gpu evidence faults clean .venv

help:  ## Say what can be made
	@grep -E '^[a-z.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Ratchet needs Python 3.11 or later; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@test -x $(BIN)/python || { echo "Making the environment in $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --editable . --group dev
	@touch $@

.venv: $(STAMP)  ## Build the environment; the command is then .venv/bin/ratchet

demo: $(STAMP)  ## Run a short campaign with live progress and a report (about three minutes)
	@$(BIN)/ratchet demo

test: $(STAMP)  ## Run all tests, on up to four cores
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

KILLS ?= 300
faults: $(STAMP)  ## Kill processes at random, hundreds of times, and change every byte of a ledger
	@RATCHET_SOAK_KILLS=$(KILLS) $(BIN)/python -m pytest tests/soak tests/integration/test_campaign_faults.py tests/unit/test_store_damage.py

check: $(STAMP)  ## Lint and type-check
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

SHORT := bus_costs gate gpu_workers.levels history headroom ledger round sandbox
bench: $(STAMP)  ## Measure: every benchmark in its short form
	@for name in $(SHORT); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done
	@echo "== gpu_workers"; $(BIN)/python -m benchmarks.gpu_workers --short

bench-gpu: $(STAMP)  ## Measure the GPU workers in full, on a GPU where there is one (NumPy alone: three minutes)
	@$(BIN)/python -m benchmarks.gpu_workers

EVIDENCE ?= .ratchet/evidence
evidence: $(STAMP)  ## Run the campaigns, their controls and what is measured of them (hours; resumes where it was)
	@$(BIN)/python -m benchmarks.campaign --out $(EVIDENCE) all
	@$(BIN)/python -m benchmarks.demo --out $(EVIDENCE)/demos

format: $(STAMP)  ## Format and apply safe fixes
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## Remove the environment, caches and stores of this clone
	rm -rf $(VENV) .ratchet .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
