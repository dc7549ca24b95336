# `make demo` and `make test` make the environment in .venv if it is missing.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint
demo: .venv/installed
	$(BIN)/sweep run configs/quickstart.yaml

test: lint
	$(BIN)/python -m pytest -m "not slow"

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[showroom,dev]"
	touch $@
