# The entries of the repository. Each makes the environment first if it is not there (tools/setup.sh).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test smoke lint setup clean

# One clone's code must never be run by another's environment: stxlib is found here, and nowhere else.
export PYTHONPATH := $(CURDIR)
unexport PYTHONHOME
python := .venv/bin/python
systems := asr nlu lasyn tts
shell_files := $(wildcard utils/*.sh tools/*.sh egs/*/*.sh) .ci/run

help: ## print this
	@while IFS= read -r line; do \
	  if [[ $$line =~ ^([a-z]+):.*\#\#\ (.*) ]]; then printf '  make %-6s %s\n' "$${BASH_REMATCH[1]}" "$${BASH_REMATCH[2]}"; fi; \
	done <Makefile

demo: setup ## train and score the baseline and latent synthesis on speech that the toolkit makes itself, about half an hour on 2 cores
	@egs/mini/run.sh
	@egs/mini/run.sh --system lasyn

test: setup ## all tests, fast and slow
	@OMP_NUM_THREADS=1 $(python) -m pytest -q -n 2

smoke: setup ## every system of egs/mini through all stages at toy size, under 3 minutes
	@rm -rf egs/mini/data_toy egs/mini/exp_toy
	@for system in $(systems); do egs/mini/run.sh --toy true --system "$$system"; done

lint: setup ## ruff, mypy, shellcheck, shfmt
	@$(python) -m ruff check .
	@$(python) -m ruff format --check .
	@$(python) -m mypy stxlib
	@.venv/bin/shellcheck $(shell_files)
	@.venv/bin/shfmt -d $(shell_files)

setup: ## make the environment and link .venv to it
	@tools/setup.sh

clean: ## remove what smoke and the checks leave behind
	@rm -rf egs/*/data_toy egs/*/exp_toy egs/*/conf_toy .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	@find stxlib test egs utils tools -name __pycache__ -type d -prune -exec rm -rf {} +
