# Everything is made from a clone with Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# How long `make soak` takes: seconds for each fuzzer, kills of each server, times the examples,
# seeds of simulated clusters, keys of real ones, minutes of their faults.
SECONDS ?= 600
KILLS ?= 20
FACTOR ?= 20
SEEDS ?= 5000
KEYS ?= 1000000
MINUTES ?= 10

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint bench soak docs clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(READY) ## make .venv with the compiler, the runtime and all tools

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test,bench]'
	touch $@

demo: $(READY) ## check, verify, build, kill -9, and the paper's six phases on three nodes: nothing is lost
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python examples/demo.py

test: $(READY) ## run all tests
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(READY) ## check formatting, style, types and layers
	$(BIN)/black --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(READY) ## measure code, storage, serving, proofs and clusters against their peers
	$(BIN)/python bench/run.py
	$(BIN)/python bench/verifying.py --large
	$(BIN)/python bench/bus.py 3
	$(BIN)/python bench/cluster.py

soak: $(READY) ## the long campaigns: fuzzers, kills, examples, seeds, keys, faults (SECONDS, KILLS, FACTOR, SEEDS, KEYS, MINUTES)
	$(BIN)/python tests/soak/fuzz_frontend.py $(SECONDS)
	$(BIN)/python tests/soak/fuzz_compiler.py $(SECONDS)
	$(BIN)/python tests/soak/fuzz_http.py $(SECONDS)
	$(BIN)/python tests/soak/fuzz_bus.py $(SECONDS)
	$(BIN)/python tests/soak/kill_campaign.py $(KILLS)
	$(BIN)/python tests/soak/simulate_campaign.py $(SEEDS)
	$(BIN)/python tests/soak/simulate_campaign.py ring 1000
	$(BIN)/python tests/soak/simulate_campaign.py strong 1000
	$(BIN)/python tests/soak/simulate_campaign.py ticks 1000
	$(BIN)/python tests/soak/simulate_campaign.py mutants
	$(BIN)/python tests/soak/raft_campaign.py 1000
	$(BIN)/python tests/soak/many_keys.py $(KEYS)
	$(BIN)/python tests/soak/simulate_campaign.py fifty
	$(BIN)/python tests/soak/process_campaign.py $(MINUTES)
	$(BIN)/python tests/soak/members_at_scale.py
	PYTHONPATH=tests/soak $(BIN)/python -m pytest -p more_examples --examples-factor $(FACTOR)

docs: $(READY) ## write the generated pages again and run every command in the docs
	$(BIN)/python -m somac.check.pages
	$(BIN)/python -m pytest tests/docs

clean: ## remove what the other targets made
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .soma_data
