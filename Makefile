# Every target makes .venv and installs what it needs by itself; Python 3.11 or newer is all it asks for.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test lint format bench clean

demo: .venv/ready-run
	$(BIN)/deskpulse demo $(if $(CONVERSATIONS),--conversations "$(CONVERSATIONS)")

test: .venv/ready-dev lint
	$(BIN)/python -m pytest

lint: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/ready-bench
	$(BIN)/python tests/bench/run.py

clean:
	rm -rf .venv .demo build dist *.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Deskpulse needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv

.venv/ready-run: .venv/bin/python pyproject.toml
	$(PIP) install --editable .
	@touch $@

.venv/ready-dev: .venv/bin/python pyproject.toml
	$(PIP) install --editable '.[dev]'
	@touch $@ .venv/ready-run

.venv/ready-bench: .venv/ready-dev
	$(PIP) install --editable '.[dev,bench]'
	@touch $@
