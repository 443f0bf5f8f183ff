# Một Cửa: every command sets up what it needs. `make run` is all a newcomer has to know.
.PHONY: setup run test check train demo bench evaluate evaluate-peer
.DEFAULT_GOAL := run
export PATH := $(CURDIR)/.tools/bin:$(PATH)
export UV_PYTHON_PREFERENCE ?= system
UV_VERSION := 0.13.9
UV = uv

run: setup           ## serve everything on this machine
	@.venv/bin/motcua run

demo: setup          ## print real conversations, then on fake Telegram and Zalo, then stop
	@.venv/bin/motcua demo
	@.venv/bin/python -m tests.fakes demo

setup: .venv/.ready nlu/.venv/.ready   ## environments, model, nothing twice
	@nlu/.venv/bin/python -m nlu.train

train: nlu/.venv/.ready                ## train the model anew
	@nlu/.venv/bin/python -m nlu.train --force

test: setup          ## every test
	@echo "== tests of nlu =="
	@nlu/.venv/bin/python -m pytest -q nlu/tests
	@echo "== tests of bot and actions =="
	@.venv/bin/python -m pytest -q -n 2 --dist loadgroup

bench: setup         ## measure beside stock Rasa; BENCH=quick takes minutes
	@.venv/bin/python -m tests.bench $(if $(filter quick,$(BENCH)),--quick)

evaluate: setup      ## how much is understood, on the blind questions; docs/benchmarks.md
	@.venv/bin/python -m tests.evaluate

evaluate-peer: setup ## the same for Rasa's default pipeline: hours, in steps that are kept
	@.venv/bin/python -m tests.evaluate.peer

check: .venv/.ready  ## format, lint, types, imports, data; no tests
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/motcua check

.venv/.ready: pyproject.toml uv.lock | python uv
	@echo "== environment of bot and actions =="
	@$(UV) sync --frozen --python 3.11 --quiet && touch $@

nlu/.venv/.ready: nlu/pyproject.toml nlu/uv.lock | python uv
	@echo "== environment of nlu (Rasa; the first time this takes minutes) =="
	@cd nlu && $(UV) sync --frozen --python 3.11 && touch .venv/.ready

.PHONY: python uv
python:
	@command -v python3.11 >/dev/null || { \
	  echo "Python 3.11 was not found. Install it (Debian: apt install python3.11 python3.11-venv,"; \
	  echo "or https://docs.astral.sh/uv: uv python install 3.11) and run make again."; exit 1; }
uv: python
	@command -v uv >/dev/null || { echo "== installing uv into .tools =="; \
	  python3.11 -m venv .tools && .tools/bin/pip install --quiet "uv==$(UV_VERSION)"; }
