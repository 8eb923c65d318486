# `make feasibility` and `make test` do all their own set-up: a virtual environment in .venv with exact versions.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: feasibility test check notebooks report lexicon clean help

help:            ## list the targets
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "ASA needs Python 3.11 or newer, this is %d.%d: call make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

feasibility: $(READY)  ## run every experiment, print the scorecard, write results/report.html
	$(BIN)/python -m feasibility

test: $(READY)   ## run the test suite (about seven minutes on two cores, no network, no GPU)
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(READY)  ## ruff (format and lint) and mypy
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

notebooks: $(READY)  ## build the .ipynb files from their sources
	$(BIN)/jupytext --quiet --to ipynb notebooks/*.py

report: $(READY)  ## rebuild results/report.html from results/*.json
	$(BIN)/python -m feasibility.report

lexicon: $(READY)  ## rebuild the shipped WordNet extract from NLTK's files (needs ASA_DATA or NLTK_DATA)
	$(BIN)/python -m periodic_table.lexicon.build

clean:           ## remove the virtual environment and every build product
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis notebooks/*.ipynb
