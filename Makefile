# `make demo` and `make test` make the environment in .venv if it is missing.
PYTHON ?= python3
BIN := .venv/bin
CODE := uvtex sweep benchmarks docs tests

.PHONY: demo test lint docs constraints
demo: .venv/installed
	$(BIN)/sweep run configs/quickstart.yaml

# One process a core and one more, since tests often wait for processes; one thread each. A file's tests
# share what they set up, so they stay together.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n $$(( $$(nproc) < 8 ? $$(nproc) + 1 : 8 )) --dist loadfile

# Only our own folders are checked: data/, runs/ and mlruns/ hold what the commands made.
lint: .venv/installed
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

# The reference pages: commands, settings, study file, metrics.
docs: .venv/installed
	$(BIN)/python -m docs.generate

# The versions that this project was tested with; a user's own `pip install -e .` does not read them.
constraints: .venv/installed
	$(BIN)/uv pip compile pyproject.toml --extra showroom --extra dev --universal --python-version 3.11 \
		--no-emit-index-url --no-annotate --no-header --quiet --upgrade --output-file constraints.txt

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[showroom,dev]"
	touch $@
