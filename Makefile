# make demo: set up, train a model with a plugin, watch it, show the run.   make test: set up and run the tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
OLDEST := .venv-oldest
# The Synapse SDK: its newest release and the oldest that is supported, each with its constraints-*.txt.
SYNAPSE := synapse synapse-oldest
PYENVS := $${PYENV_ROOT:-$$HOME/.pyenv}/versions
# Where to look for a Python for the SDK, which needs 3.12; the Ray that it pins has no wheel above 3.13.
PYTHON_SYNAPSE ?= python3.12 $(PYENVS)/3.12*/bin/python3 python3.13 $(PYENVS)/3.13*/bin/python3 python3
# The first of these that runs (a shim of pyenv may not), or nothing; looked for once, and only when it is needed.
FOUND_PYTHON = $(eval FOUND_PYTHON := $(shell for python in $(PYTHON_SYNAPSE); do "$$python" -c \
	'import sys; assert (3, 12) <= sys.version_info < (3, 14)' >/dev/null 2>&1 && echo "$$python" && break; done))$(FOUND_PYTHON)
NO_PYTHON := it needs Python 3.12 or 3.13, and none was found (set PYTHON_SYNAPSE=/path/to/python3.12).
PIP := -m pip --quiet --disable-pip-version-check

.PHONY: demo test lint audit bench faults dashboards picture test-oldest test-synapse $(SYNAPSE:%=test-in-%) clean
.DELETE_ON_ERROR:

demo: $(VENV)/demo.stamp
	@bash examples/demo.sh $(VENV)/bin/synapse-otel

# The Collector, Prometheus, Jaeger and VictoriaLogs are built with Go, once, in the user's cache.
test: $(VENV)/test.stamp
	@$(VENV)/bin/python tests/backends/programs.py
	@$(VENV)/bin/python -m pytest -q --ignore=tests/sdk
	@$(MAKE) --no-print-directory test-synapse

lint: $(VENV)/lint.stamp
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy
	@# Secrets in what git knows, but for the corpus of made-up ones; nothing is validated with anybody.
	@git grep --untracked -lz -e '' -- . ':!tests/projection/corpus_secrets.py' | xargs -0 $(VENV)/bin/kingfisher \
		scan --quiet --no-validate --no-update-check --skip-regex a1B2c3D4

# Known vulnerabilities of what is pinned. It asks PyPI's advisories, so it is done by hand before a release, not in CI.
audit:
	@test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit && .venv-audit/bin/python $(PIP) install pip-audit; }
	@.venv-audit/bin/pip-audit --progress-spinner off --strict --no-deps --disable-pip -r constraints.txt

# Ours beside its peers, each in an environment of its own that is made here: docs/benchmark.txt and .svg, in 45 minutes.
bench: $(VENV)/bench.stamp
	@$(VENV)/bin/python tests/benchmarks/everything.py

# What every fault costs, as a table; long faults last as long as they do in the world.
faults: $(VENV)/test.stamp
	@$(VENV)/bin/python -m pytest -q tests/faults --fault-table --long-faults

# The JSON of the Grafana dashboards, which is committed.
dashboards: $(VENV)/test.stamp
	@$(VENV)/bin/python collector-config/grafana/build.py

# The picture of a report in the README.
picture: $(VENV)/test.stamp
	@$(VENV)/bin/python tests/backends/report_picture.py docs/report.png

# The built wheel, not the checkout, with the oldest OpenTelemetry that is supported; faults and costs do not depend on that.
test-oldest: $(OLDEST)/test.stamp
	@$(OLDEST)/bin/python -m pytest -q --ignore=tests/sdk --ignore=tests/backends --ignore=tests/faults \
		--ignore=tests/hot_path

# What goes with the Synapse SDK. Without a Python for it nothing can be tested: no failure, except in CI.
test-synapse:
	@$(if $(FOUND_PYTHON),$(MAKE) --no-print-directory $(SYNAPSE:%=test-in-%), \
		echo "The Synapse SDK was NOT tested: $(NO_PYTHON)"$(if $(CI),; exit 1))

$(SYNAPSE:%=test-in-%): test-in-%: .venv-%/test.stamp
	@echo "Testing with the Synapse SDK in .venv-$* ..."
	@.venv-$*/bin/python -m pytest -q tests/sdk

$(VENV)/bin/python:
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$@ $(PIP) install --upgrade -c constraints.txt pip

$(VENV)/demo.stamp: $(VENV)/bin/python pyproject.toml constraints.txt
	@$< $(PIP) install -c constraints.txt -e '.[examples]'
	@touch $@

$(VENV)/test.stamp: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing what the tests need ..."
	@$< $(PIP) install -c constraints.txt -e . --group test
	@touch $@

$(VENV)/lint.stamp: $(VENV)/test.stamp
	@$(VENV)/bin/python $(PIP) install -c constraints.txt --group lint
	@touch $@

$(VENV)/bench.stamp: $(VENV)/test.stamp
	@$(VENV)/bin/python $(PIP) install -c constraints.txt --group bench
	@touch $@

$(OLDEST)/test.stamp: pyproject.toml constraints-oldest.txt $(shell find src -name '*.py')
	@echo "Setting up $(OLDEST) ..."
	@test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	@$(OLDEST)/bin/python $(PIP) install --upgrade -c constraints.txt pip
	@rm -rf dist && $(OLDEST)/bin/python $(PIP) wheel --no-deps --wheel-dir dist .
	@$(OLDEST)/bin/python $(PIP) install -c constraints-oldest.txt --force-reinstall --no-deps dist/*.whl
	@$(OLDEST)/bin/python $(PIP) install -c constraints-oldest.txt dist/*.whl --group test
	@touch $@

$(SYNAPSE:%=.venv-%/test.stamp): .venv-%/test.stamp: pyproject.toml constraints-%.txt
	@$(if $(FOUND_PYTHON),,echo "No Python for $(@D): $(NO_PYTHON)"; exit 1)
	@echo "Setting up $(@D) ..."
	@test -x $(@D)/bin/python || "$(FOUND_PYTHON)" -m venv $(@D)
	@$(@D)/bin/python $(PIP) install --upgrade -c constraints-$*.txt pip
	@$(@D)/bin/python $(PIP) install -c constraints-$*.txt -e '.[synapse]' --group test-synapse
	@touch $@

clean:
	@rm -rf $(VENV) $(OLDEST) $(SYNAPSE:%=.venv-%) .venv-audit .venv-bench-* dist build
