# `make demo` runs the shipped experiment, `make test` the tests; both install everything first.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready
READY_DOCS = $(VENV)/.ready-docs
# A process per core; the tests of one file share what they train, and whole workflows come first (tests/conftest.py).
PARALLEL = -n auto --dist loadfile --no-loadscope-reorder
UNIT_TESTS = $(addprefix tests/,alarms behaviours docs experiment models prompts records reports rewards setup stats store text) \
	tests/test_house_rules.py
TEXTS = ppo_cli tests benchmarks configs docs README.md CONTRIBUTING.md CHANGELOG.md Makefile pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help demo test fast long fuzz check glossary reference docs wheel bench bench-quick lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(READY)  ## install, then train the refusal experiment and say what changed
	$(BIN)/ppo demo

test: $(READY)  ## install, then run the tests
	$(BIN)/python -m pytest $(PARALLEL) -m "not long"

long: $(READY)  ## the tests that take long: the CUDA check at toy size, training as on Windows, and the like
	PPO_LONG_TESTS=1 $(BIN)/python -m pytest $(PARALLEL) -m long

fast: $(READY)  ## the unit tests only, in less than a minute
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not long and not process and not builtin_model" $(UNIT_TESTS)

fuzz: $(READY)  ## 10 minutes of wrong configs, records, prompts and model folders (in the tests: 30 seconds)
	PPO_FUZZ_SECONDS=600 $(BIN)/python -m pytest tests/fuzz

check: $(READY)  ## format, lint, types, import order, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell $(TEXTS)

glossary: $(READY)  ## write docs/glossary.md from the table of measures
	$(BIN)/python -m ppo_cli.behaviours.glossary docs/glossary.md

reference: $(READY)  ## write docs/reference/ from the code
	$(BIN)/python docs/site/reference.py

docs: $(READY_DOCS)  ## build the site from docs/ into build/site; a broken link is an error
	$(BIN)/sphinx-build -q -W --keep-going -c docs/site -d build/site-cache docs build/site
	@echo "Open build/site/index.html"

wheel: $(READY)  ## build dist/*.whl, which runs without a checkout
	$(BIN)/python -m hatchling build --target wheel --directory dist

bench: $(READY)  ## time TRL's own loop, TRL's loop with our modules, and ours (about 15 minutes)
	$(BIN)/python benchmarks/bench.py

bench-quick: $(READY)  ## the same with half the episodes and one update each
	$(BIN)/python benchmarks/bench.py --quick

lock:  ## write constraints.txt from the versions that pip resolves today
	rm -rf $(VENV)-lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(VENV)-lock/bin/pip install --quiet -e ".[dev,docs]"
	$(VENV)-lock/bin/pip freeze --exclude-editable | sed -E 's/\+cpu$$//' \
		| grep -vE '^(nvidia-|triton|cuda-)' > constraints.txt
	rm -rf $(VENV)-lock

clean:  ## remove the environment and caches; runs are kept
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# torch is installed first, with its pinned version: a range could select a newer build with gigabytes of drivers.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(READY)

$(READY_DOCS): $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch $(READY_DOCS)
