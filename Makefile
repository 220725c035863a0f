# Set-up and the two things a newcomer runs. Everything lands in .venv and .demo; both can be run again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test test-scatter lint docs docs-serve clean

demo: $(VENV)/installed
	$(BIN)/python examples/demo.py .demo

# One process per core, each with whole files of tests, whose fixtures are made once; 8 take about 8 GB of memory.
test: lint
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation as a site. A warning is an error.
docs: $(VENV)/docs
	$(BIN)/python docs/site.py .site

docs-serve: docs
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory .site 8000

# The extra "scatter": its wheel compiles for minutes the first time, and then stays in pip's cache.
test-scatter: $(VENV)/scatter
	$(BIN)/python -c "import torch_scatter"
	$(BIN)/python -m pytest tests/nn/test_backends.py

$(VENV)/installed: pyproject.toml setup.py toothgraph/nn/kernels/compiled.cpp constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) --editable .
	touch $@

$(VENV)/dev: $(VENV)/installed
	$(PIP) --editable ".[dev]"
	touch $@

$(VENV)/docs: $(VENV)/dev
	$(PIP) --editable ".[docs]"
	touch $@

$(VENV)/scatter: $(VENV)/dev
	$(PIP) setuptools wheel
	$(PIP) --no-build-isolation torch-scatter
	touch $@

clean:
	rm -rf $(VENV) .demo .site
