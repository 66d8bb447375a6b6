# Each target does its own set-up: Python 3.10 or newer and make are all it takes.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := demo
PACKAGE := build/package

.PHONY: install demo test test-slow package format clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# The starter model on three photos, then the four commands on drawn people, starting from it.
demo: install
	rm -rf $(DEMO)
	mkdir $(DEMO)
	$(BIN)/vaa predict sample_data/photos --run starter --pretty
	$(BIN)/vaa explain sample_data/photos --run starter --per-sheet 3 --out $(DEMO)/explained
	$(BIN)/vaa prepare sample_data $(DEMO)/prepared
	$(BIN)/vaa train --data $(DEMO)/prepared --run $(DEMO)/run --weights starter \
		--image-size 128x64 --lr 1e-3 --batch-size 16 --epochs 10
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

# Wheel and sdist, and the four commands from the wheel alone, without extras.
package: install
	rm -rf dist $(PACKAGE)
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build --outdir dist
	$(PYTHON) -m venv $(PACKAGE)/venv
	$(PACKAGE)/venv/bin/python -m pip install --quiet dist/*.whl
	cp -r sample_data $(PACKAGE)/people
	cd $(PACKAGE) && PATH="$$PWD/venv/bin:$$PATH" sh -euc '\
		vaa prepare people && \
		vaa train --backbone resnet18 --weights none --image-size 64x32 --lr 1e-3 --epochs 1 && \
		vaa evaluate && \
		vaa predict people/images > out.csv && \
		test "$$(wc -l < out.csv)" -eq 1001'

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(DEMO) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
