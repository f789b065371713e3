# Two commands for a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-faults clean

# Track the demo scene, print the scores, leave the CSV, the video and a still picture in runs/demo.
demo: .venv/installed
	$(BIN)/mtmc demo --output runs/demo --overwrite

# Everything that must hold: style, types, tests.
test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

# What live cameras do to a run, over real connections; needs Debian's gst-rtsp-server (see .ci/run), else some are skipped.
test-faults: .venv/installed-dev
	$(BIN)/pytest -m faults -s -rs

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/pip install -q -e .
	@touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/python
	$(BIN)/pip install -q -e '.[dev]'
	@touch $@ .venv/installed

clean:
	rm -rf .venv runs
