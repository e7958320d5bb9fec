# `make demo` builds a zoo trigger and `make test` runs the tests. Both set up .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: demo test test-full test-hgq coverage docs fuzz lint setup clean

demo: setup
	$(BIN)/trigger build jet_tagger

# Two pytest workers; tests that share a compiled csim run on the same worker.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder
test: setup lint
	$(PYTEST)

test-full: setup
	$(PYTEST) --full

coverage: setup
	$(PYTEST) --cov --cov-report=term:skip-covered

docs: setup
	$(BIN)/sphinx-build -W --keep-going -q docs build/site
	@echo build/site/index.html

# Continues where the last run stopped: make fuzz MINUTES=600
MINUTES ?= 60
fuzz: setup
	$(BIN)/python benchmarks/fuzz.py --minutes $(MINUTES)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is required; set PYTHON=python3.x")'
	@command -v g++ > /dev/null || { echo "g++ is required; install it (Debian and Ubuntu: apt install g++)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[qkeras,test]'
	@touch $@

# HGQ2 and QKeras cannot be installed together, so the HGQ2 tests have a separate environment.
test-hgq: $(VENV)-hgq/.ready
	$(VENV)-hgq/bin/python -m pytest -n 2 tests/frontends/test_hgq.py tests/frontends/test_hgq_handset.py

$(VENV)-hgq/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-hgq
	$(VENV)-hgq/bin/pip install --quiet --constraint constraints.txt --editable '.[hgq,test]'
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-hgq build dist .pytest_cache .ruff_cache .hypothesis
