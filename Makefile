# make demo | make test | make lint | make laptop | make reference | make lock
PYTHON ?= python3
BIN := .venv/bin
SNAKEMAKE := $(BIN)/snakemake

.PHONY: demo laptop reference test lint lock environment
.DEFAULT_GOAL := demo

demo laptop: environment
	$(SNAKEMAKE) all --profile profiles/$@

# what the repository keeps of the reference run, dated alike, as a checkout does not: nothing of it is
# then made anew but what an edit changes
reference: environment
	find results/reference -exec touch -d @$$(date +%s.%N) {} +
	$(SNAKEMAKE) tidy tables figures --profile profiles/reference

test: environment
	$(BIN)/python -m pytest workflow_tests

lint: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(SNAKEMAKE) --lint
	$(BIN)/mypy

environment: .venv/installed

# without ensurepip, which Debian packs separately: pip of the outer Python installs into the environment
.venv/installed: requirements.txt requirements-dev.txt constraints.txt pyproject.toml
	@case "$$PWD" in *" "*) echo "$$PWD: this path holds a space, and Snakemake cannot start jobs with a Python that lies in it; move the repository"; exit 1;; esac
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ffensembles needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv --without-pip .venv
	$(PYTHON) -m pip --python .venv install -r requirements-dev.txt
	$(PYTHON) -m pip --python .venv install --no-deps -e .
	@touch $@

lock: environment
	$(PYTHON) -m pip --python .venv install uv
	(sed -n '/^#/p' constraints.txt; sed '/^[-#]/d' requirements.txt requirements-dev.txt | \
	  $(BIN)/uv pip compile - --python-version 3.11 --python-platform linux --no-annotate --no-header) > .venv/constraints.txt
	mv .venv/constraints.txt constraints.txt
