# make demo | make gpu-check | make test | make test-quick | make lint | make docs | make laptop | make reference | make lock
PYTHON ?= python3
BIN := .venv/bin
SNAKEMAKE := $(BIN)/snakemake
PYTEST := $(BIN)/python -m pytest -n auto

.PHONY: demo gpu-check laptop reference test test-quick lint docs lock environment
.DEFAULT_GOAL := demo

demo laptop: environment
	$(SNAKEMAKE) all --profile profiles/$@

# makes what an edit of the configuration changed; trains only the runs that are not kept
reference: environment
	$(SNAKEMAKE) tidy tables figures --profile profiles/reference

# what to run first on a new machine: whether its GPU, or else its CPU, can train a study
gpu-check: environment
	$(BIN)/python -m ffensembles.training.check

test: environment
	$(PYTEST)

test-quick: environment
	$(PYTEST) -m "not slow" workflow_tests/library ffensembles

lint: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(SNAKEMAKE) --lint
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: environment
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

environment: .venv/installed

# without ensurepip, which Debian packs separately: pip of the outer Python installs into the environment
.venv/installed: requirements.txt requirements-dev.txt constraints.txt pyproject.toml
	@case "$$PWD" in *" "*) echo "$$PWD: this path holds a space, and Snakemake cannot start jobs with a Python that lies in it; move the repository"; exit 1;; esac
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ffensembles needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv --without-pip .venv
	$(PYTHON) -m pip --python .venv install -r requirements-dev.txt
	$(PYTHON) -m pip --python .venv install --no-deps -e .
	$(BIN)/python -m compileall -q ffensembles
	@touch $@

lock: environment
	$(PYTHON) -m pip --python .venv install uv
	(sed -n '/^#/p' constraints.txt; sed '/^[-#]/d' requirements.txt requirements-dev.txt | \
	  $(BIN)/uv pip compile - --python-version 3.11.0 --python-platform linux --no-annotate --no-header) > .venv/constraints.txt
	mv .venv/constraints.txt constraints.txt
