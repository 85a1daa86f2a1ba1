# Everything here works in a fresh clone: each target makes the virtual environment it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test test-all test-ray test-gpu check docs bench clean

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

setup: $(VENV)/.tested

demo: $(VENV)/.installed
	$(BIN)/banach train --minutes 5 --out runs/demo

test: $(VENV)/.tested
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-all: $(VENV)/.tested
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not gpu"

$(VENV)/.swept: $(VENV)/.tested
	$(BIN)/python -m pip install --quiet --editable '.[sweep]'
	touch $@

test-ray: $(VENV)/.swept
	$(BIN)/python -m pytest -m slow tests/end_to_end/test_sweep_ray.py

test-gpu: $(VENV)/.tested
	$(BIN)/python -m banach.training.device

check: $(VENV)/.tested docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

docs: $(VENV)/.tested
	$(BIN)/python -m pytest tests/test_docs.py

bench: $(VENV)/.tested
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist *.egg-info
