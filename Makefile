# Everything below sets itself up: on a fresh machine, Python 3.11+ and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One thread per test worker: two workers with a thread pool each would only wait for one another. Compiled modules are
# kept, also where the environment says otherwise: commands that tests start would compile them anew.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist worksteal -q

# A build of torch for the two targets below, such as torch==2.13.0; empty = the one that pip takes by itself.
TORCH ?=

SITE := $(VENV)/.site

.PHONY: demo test test-whole test-all test-docs docs test-minimal test-newest lint format bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/ssl-behavior demo --out demo --overwrite

test: $(READY)
	$(PYTEST)

# Every system on simulated CalMS21 at a fiftieth of its size, by itself: how long it takes is worth knowing.
test-whole: $(READY)
	$(BIN)/python -m pytest -q -m slow --durations 3 tests/probe/calms21/test_whole_benchmark.py

test-all: $(READY)
	$(PYTEST) -m 'not docs'

# The documentation site in build/site: tutorials run, warnings are errors, and links inside the site are checked.
docs: $(SITE)
	OMP_NUM_THREADS=1 MPLBACKEND=agg $(BIN)/python -m sphinx -q -W --keep-going -b html -c docs . build/site
	$(BIN)/python docs/check_site.py build/site

# Every command and every block of Python of the pages, and the notebook, as readers run them: without the type checks of
# other tests, which refuse 30 where a float is meant.
test-docs: $(SITE)
	$(PYTEST) -o addopts=--import-mode=importlib -m docs tests/test_document_blocks.py tests/test_notebook.py \
		tests/test_python_page.py

$(SITE): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	touch $(SITE)

# The installed wheel with the lowest versions that pyproject.toml allows, in an environment of its own.
test-minimal:
	$(PYTHON) tests/tools/check_versions.py lowest .venv-minimal --torch '$(TORCH)'

# The same with the newest versions.
test-newest:
	$(PYTHON) tests/tools/check_versions.py newest .venv-newest --torch '$(TORCH)'

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script; done

clean:
	rm -rf $(VENV) .venv-minimal .venv-newest demo build docs/gallery sg_execution_times.rst *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
