# Each target does its own set-up: Python 3.10 or newer and make are all it takes.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: install demo test test-slow format clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# The four commands on the sample data, from scratch, on a CPU.
demo: install
	rm -rf $(DEMO)
	mkdir $(DEMO)
	$(BIN)/vaa prepare sample_data $(DEMO)/prepared
	$(BIN)/vaa train --data $(DEMO)/prepared --run $(DEMO)/run --backbone resnet18 --weights none \
		--image-size 128x64 --lr 1e-3 --batch-size 16 --epochs 15 --patience 0
	$(BIN)/vaa evaluate --run $(DEMO)/run
	$(BIN)/vaa predict sample_data/images --run $(DEMO)/run > $(DEMO)/out.csv
	head -n 4 $(DEMO)/out.csv

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

test-slow: install
	$(BIN)/python -m pytest -m slow

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(DEMO) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
