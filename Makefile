# make app   sets everything up and opens the browser app on the finished demo run
# make test  sets everything up and runs the tests, in two processes (make JOBS=4 test: in four)
PYTHON ?= python3
PORT ?= 8501
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
export CCD_RUNS ?= $(CURDIR)/runs

.PHONY: app setup test test-fast lint lint-scripts demo clean

app: setup
	@$(BIN)/python -m ccd_core.toy.scenes
	@echo "The app is on http://127.0.0.1:$(PORT)  (Ctrl-C ends it; runs go on)"
	@$(BIN)/ccd app --port $(PORT)

setup: $(VENV)/.installed

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

test-fast: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not slow and not browser"

lint: $(VENV)/.installed-dev lint-scripts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# JavaScript and CSS of the app. Without npm the other checks still run; .ci/run installs npm.
lint-scripts:
	@if command -v npm >/dev/null 2>&1; then \
	  $(MAKE) --no-print-directory node_modules/.installed && npm run --silent lint; \
	else \
	  echo "npm is not installed, so the app's JavaScript and CSS are not checked."; \
	fi

node_modules/.installed: package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

demo: setup
	$(BIN)/ccd run --preset demo

$(VENV)/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Python 3.11 or newer is needed; $$($(PYTHON) --version) is $(PYTHON). Try: make PYTHON=python3.12 app"; exit 1)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what the project needs; torch is large, so the first time takes a few minutes."
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	@touch $@

clean:
	rm -rf $(VENV) node_modules .pytest_cache .mypy_cache .ruff_cache
