# Set-up and the two things a newcomer runs. Everything lands in .venv and .demo; both can be run again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test test-scatter lint coverage docs docs-serve dist clean

demo: $(VENV)/installed
	$(BIN)/python examples/demo.py .demo

# One process per core, each with whole files of tests, whose fixtures are made once; 8 take about 8 GB of memory.
test: lint
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Lines and branches that the tests reach, other processes included; see [tool.coverage] in pyproject.toml.
coverage: $(VENV)/dev
	$(BIN)/python -m coverage erase
	-$(BIN)/python -m coverage run -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

# The documentation as a site. A warning is an error.
docs: $(VENV)/docs
	$(BIN)/python docs/site.py .site

docs-serve: docs
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory .site 8000

# The extra "scatter": its wheel compiles for minutes the first time, and then stays in pip's cache.
test-scatter: $(VENV)/scatter
	$(BIN)/python -c "import torch_scatter"
	$(BIN)/python -m pytest tests/nn/test_backends.py

# Source archive and wheel. The wheel is checked, and installed into an environment of its own, which labels a scan.
dist: $(VENV)/dev
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m benchmarks.speed.install dist/*.whl --torch torch==$$(sed -n 's/^torch==//p' constraints.txt) \
		--out dist/install.json

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
	rm -rf $(VENV) .demo .site dist
