# make          everything that has to pass before a change is committed
# make demo     the demonstration, into demo/
PYTHON ?= python3
BIN := .venv/bin

.PHONY: all venv demo test check clean

all: check test

venv: .venv/.stamp

.venv/.stamp: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev,bench]'
	touch $@

demo: venv
	$(BIN)/python -m selfcodec.benchmarks demo -o demo

test: venv
	$(BIN)/python -m pytest -q

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# .venv stays: it takes minutes to make, and a change of its inputs makes it anew.
clean:
	rm -rf build dist demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find selfcodec cli models benchmarks tests -name __pycache__ -type d -exec rm -rf {} +
