# Everything happens in .venv of this tree: nothing to activate, nothing global. `make run` and `make test` are enough.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
PYTEST := $(BIN)/python -m pytest
SHELL := /bin/bash
# Where it is set, each start of ours would compile all of it again.
unexport PYTHONDONTWRITEBYTECODE
NEWEST := .venv-newest
LAST_FAILED := .pytest_cache/v/cache/lastfailed
FEW := 5
ALONE := tests/ui/terminal/test_slow_below.py tests/ui/terminal/test_stalls.py tests/blackbox/test_load.py

.PHONY: run test test-long test-newest lint format docs screenshots bench setup clean

run: setup
	@exec $(BIN)/gyoza-tui --local --demo

# Four files at a time, for many wait, but for those that measure how soon a terminal shows what, and how full the slots are.
# In the order of their names: the files with the fewest tests are the slowest, and must not be the last.
define SUITE
failed=0; $(PYTEST) --cache-clear -rfEs -n 4 --dist loadfile --no-loadscope-reorder $(addprefix --ignore=,$(ALONE)) || failed=1; \
$(PYTEST) -rfEs $(ALONE) || failed=1; \
[ $$failed = 0 ] && exit 0; [ "$$(grep -c ': true' $(LAST_FAILED))" -le $(FEW) ] || exit 1; \
echo "What failed is run once more, by itself: a test that passes now is unsteady, and is to be mended."; \
$(PYTEST) -v -rfEs --last-failed --last-failed-no-failures none
endef

test: lint
	@$(SUITE)

# The same with the newest of all that pyproject.toml lets in, instead of what constraints.txt names.
test-newest: PYTEST := $(NEWEST)/bin/python -m pytest
test-newest:
	@$(NEWEST)/bin/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear $(NEWEST)
	@$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager --group dev --editable .
	@$(SUITE)

test-long: setup
	@exec $(PYTEST) -rfEs -m long --timeout 1800

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: setup
	@$(BIN)/python -m tools.settings_docs
	@$(BIN)/python -m tools.cli_docs
	@$(BIN)/python -m tools.roles_docs

screenshots: setup
	@$(BIN)/python -m tests.ui.screenshots

bench: setup
	@exec $(BIN)/python -m bench

# The lock is for two `make` at once; what is out of date is looked up when it is held.
setup:
	@mkdir -p .make
	@flock .make/lock $(MAKE) -s --no-print-directory $(READY)

$(READY): pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "gyoza-tui needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 2; }
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv || { echo "no venv can be made: install python3-venv" >&2; exit 2; }
	@echo "setting up .venv, which takes about half a minute ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip hatchling editables
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-build-isolation --group dev --editable .
	@touch $@

clean:
	rm -rf .venv $(NEWEST) .make .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
