# Everything a newcomer needs: `make demo` and `make test`. Both set up `.venv` first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
STRATEGIES := greedy majority best_of_n weighted_best_of_n beam_search dvts
SOURCES := tts_lang runtime tests benchmarks

.PHONY: demo test check format setup clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

# The main job: six strategies at n = 16 on the bundled problems with the bundled policy and PRM.
demo: $(INSTALLED)
	$(BIN)/tts-run $(STRATEGIES) --set n=16 --problems arith

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2 --quiet

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/tts-compile --fmt --check strategies/*.tts strategies/*/*.tts

format: $(INSTALLED)
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .
	$(BIN)/tts-compile --fmt strategies/*.tts strategies/*/*.tts

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
