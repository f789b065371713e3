# Two commands for a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# cpu installs PyTorch without CUDA from PyTorch's own index; empty takes what `pip install` gives.
TORCH ?=

FUZZ_EXAMPLES ?= 3000

.PHONY: demo test test-faults fuzz check graph docs clean

# Track the demo scene, print the scores, leave the CSV, the video, a still picture and a report in runs/demo.
demo: .venv/installed
	$(BIN)/mtmc demo --output runs/demo --overwrite

# Everything that must hold: style, types, tests. More than two processes would disturb the tests that measure time.
test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# What live cameras do to a run, over real connections; needs Debian's gst-rtsp-server (see .ci/run), else some are skipped.
test-faults: .venv/installed-dev
	$(BIN)/pytest -m faults -s -rs

# Damaged files for every reader, for some minutes; `make test` does the same for seconds.
fuzz: .venv/installed-dev
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/pytest -n auto tests/fuzz

# Style, types and the quick tests, below a minute: for every small step.
check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile --durations=0 --durations-min=2 tests/architecture tests/pipeline/association tests/pipeline/config \
	  tests/pipeline/core tests/pipeline/cross_camera tests/pipeline/floor tests/pipeline/scoring tests/pipeline/single_camera

# Which room imports which, as a Mermaid diagram.
graph: .venv/installed-dev
	@$(BIN)/python -m tests.architecture.import_graph

# The documentation as a site, in build/docs; a warning is an error.
docs: .venv/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv
ifeq ($(TORCH),cpu)
	$(BIN)/pip install -q torch torchvision --index-url https://download.pytorch.org/whl/cpu
endif

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/pip install -q -e .
	@touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/python
	$(BIN)/pip install -q -e '.[dev]'
	@touch $@ .venv/installed

clean:
	rm -rf .venv runs build
