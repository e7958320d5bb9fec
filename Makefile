# `make demo` builds a zoo trigger and `make test` runs the tests. Both set up .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
# Duration of `make fuzz`.
MINUTES ?= 60
# Pythons of `make smoke`.
PYTHONS ?= $(PYTHON)
# pytest workers: one per core, or fewer where memory is short (about 2 GB each).
WORKERS ?= auto
# Tests that share a compiled csim run on the same worker.
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test test-core test-full test-hgq test-old-hls4ml coverage docs fuzz smoke licences lint setup clean

help: ## this list
	@echo "make TARGET [WORKERS=2], where TARGET is"
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{printf "  %-15s %s\n", $$1, $$2}'

demo: setup ## build the jet tagger: network, firmware, verification, report
	$(BIN)/trigger build jet_tagger

test: setup lint ## what CI runs: lint, types, import contracts, all tests
	$(PYTEST)

test-core: setup ## the tests of the fixed-point graph alone: seconds, without Keras
	$(BIN)/python -m pytest -p no:xdist tests/fixedpoint

test-full: setup ## the tests with their long campaigns
	$(PYTEST) --full

# HGQ2 and QKeras cannot be installed together, so the HGQ2 tests have a separate environment.
test-hgq: $(VENV)-hgq/.ready ## the tests of HGQ2's networks
	$(VENV)-hgq/bin/python -m pytest -n $(WORKERS) tests/frontends/test_hgq*.py \
	  "tests/test_docs.py::test_the_page_works[coming-from/hgq2.md]"

# hls4ml 0.8 without its dependencies, of which a project needs few.
test-old-hls4ml: setup $(VENV)-old-hls4ml/.ready ## projects of hls4ml 0.8 against their own csim
	$(BIN)/python benchmarks/hls4ml_08.py --python $(VENV)-old-hls4ml/bin/python

coverage: setup ## the tests, with the lines they reach
	$(PYTEST) --cov --cov-report=term:skip-covered

docs: setup ## the documentation as a site, in build/site
	$(BIN)/sphinx-build -W --keep-going -q docs build/site
	@echo build/site/index.html

fuzz: setup ## a slice of the fuzzing campaign, MINUTES=60 long; the next run continues
	$(BIN)/python benchmarks/fuzz.py --minutes $(MINUTES)

smoke: ## wheel and sdist in new environments, PYTHONS="python3.11 python3.12", oldest and newest versions
	.ci/smoke $(PYTHONS)

licences: setup ## the licences of all that is installed
	$(BIN)/pip-licenses --from=mixed --with-urls --format=markdown

lint: setup ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff check --quiet --select E501 --config 'lint.pycodestyle.max-line-length=128' \
		--config 'lint.per-file-ignores={}' tests benchmarks  # their tables are wider
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

setup: $(VENV)/.ready ## the environment .venv, which all others set up too

clean: ## remove environments, builds and caches
	rm -rf $(VENV) $(VENV)-hgq build dist .pytest_cache .ruff_cache .hypothesis

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is required; set PYTHON=python3.x")'
	@command -v g++ > /dev/null || { echo "g++ is required; install it (Debian and Ubuntu: apt install g++)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[qkeras,test]'
	@touch $@

$(VENV)-old-hls4ml/.ready:
	$(PYTHON) -m venv $(VENV)-old-hls4ml
	$(VENV)-old-hls4ml/bin/pip install --quiet --no-deps hls4ml==0.8.1
	$(VENV)-old-hls4ml/bin/pip install --quiet numpy pyyaml h5py onnx tabulate calmjs.parse \
	  pydigitalwavetools
	@touch $@

$(VENV)-hgq/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-hgq
	$(VENV)-hgq/bin/pip install --quiet --constraint constraints.txt --editable '.[hgq,test]'
	@touch $@
