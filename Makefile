# Everything a newcomer needs: `make demo` runs the main job, `make test` the tests.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test check glossary bench bench-quick lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(READY)  ## set everything up, then train on the refusal experiment and say what changed
	$(BIN)/ppo train configs/refusal.yaml --again

test: $(READY)  ## set everything up, then run the tests
	$(BIN)/python -m pytest

check: $(READY)  ## format, lint, types, and the arrows between the rooms
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

glossary: $(READY)  ## write docs/glossary.md anew from the table of behaviours
	$(BIN)/python -m ppo_cli.behaviours.glossary docs/glossary.md

bench: $(READY)  ## TRL's own loop, TRL's loop with our modules, and ours, side by side (about 15 minutes)
	$(BIN)/python benchmarks/bench.py

bench-quick: $(READY)  ## the same with half the episodes and one update each
	$(BIN)/python benchmarks/bench.py --quick

lock:  ## write constraints.txt anew from what pip resolves today
	rm -rf $(VENV)-lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(VENV)-lock/bin/pip install --quiet -e ".[dev]"
	$(VENV)-lock/bin/pip freeze --exclude-editable | sed -E 's/\+cpu$$//' \
		| grep -vE '^(nvidia-|triton|cuda-)' > constraints.txt
	rm -rf $(VENV)-lock

clean:  ## remove the environment and caches; runs are kept
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# torch goes first and by its pin: a range could take a newer build with gigabytes of drivers.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(READY)
