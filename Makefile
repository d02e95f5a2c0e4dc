# make          everything that has to pass before a change is committed
# make demo     the demonstration, into demo/
# make figures  the paper's figures and tables in docs/paper.md, of photographs that may be shown
PYTHON ?= python3
BIN := .venv/bin

# These models stand for all released ones, each for a way of coding: ARM_MODELS= takes every one.
ARM_MODELS ?= cifar10-downscale photo photo-lossy

DRAW = $(BIN)/selfcodec figures --format jpg -o docs/figures

.PHONY: all venv loops demo figures test test-arm nightly check clean

all: check test

venv: .venv/.stamp

.venv/.stamp: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev,bench]'
	$(MAKE) --no-print-directory loops
	touch $@

# Loops over pixels in context are compiled when they first run, and kept: here, so that nobody waits for them later.
loops:
	$(BIN)/selfcodec decode --force tests/data/photo.lossless.sv -o .venv/first.png
	$(BIN)/selfcodec encode --force --quiet .venv/first.png -o .venv/first.sv

demo: venv
	$(BIN)/python -m selfcodec.benchmarks demo -o demo

figures: venv
	for model in $(notdir $(wildcard models/zoo/celeba-*)); do $(DRAW) --model $$model --dataset portraits || exit; done
	for model in $(notdir $(wildcard models/zoo/cifar10-* models/zoo/imagenette64-*)); do \
		$(DRAW) --model $$model --dataset scikit-image || exit; done
	$(DRAW) transformations --page docs/paper.md
	$(BIN)/python -m selfcodec.benchmarks table1 benchmarks/results/paper --page docs/paper.md

test: venv
	$(BIN)/python -m pytest -q

test-arm: venv .arm/.stamp
	$(BIN)/python tests/arm/check.py .arm/python $(ARM_MODELS)

.arm/.stamp: tests/arm/make.sh constraints.txt
	rm -rf .arm
	PYTHON="$(abspath $(BIN)/python)" tests/arm/make.sh .arm
	touch $@

# What takes too long for every change: 100,000 damaged files, 100 kills, every model on emulated Arm.
nightly: venv
	SELFCODEC_FUZZ=100000 $(BIN)/python -m pytest -q tests/test_fuzz.py tests/test_lossy_fuzz.py
	SELFCODEC_COMPILE=1 $(BIN)/python -m pytest -q tests/models/test_computing.py
	$(BIN)/python -m selfcodec.benchmarks kills -o "$$(mktemp -d)"
	$(MAKE) test-arm ARM_MODELS=

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# .venv and .arm stay: they take minutes to make, and a change of their inputs makes them anew.
clean:
	rm -rf build dist demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find selfcodec cli models benchmarks tests -name __pycache__ -type d -exec rm -rf {} +
