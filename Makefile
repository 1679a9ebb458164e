# make demo: set up, train a model with a plugin, watch it, show the run.   make test: set up and run the tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
OLDEST := .venv-oldest
PIP := -m pip --quiet --disable-pip-version-check

.PHONY: demo test lint bench test-oldest clean
.DELETE_ON_ERROR:

demo: $(VENV)/demo.stamp
	@bash examples/demo.sh $(VENV)/bin/synapse-otel

test: $(VENV)/test.stamp
	@$(VENV)/bin/python -m pytest -q

lint: $(VENV)/lint.stamp
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy

bench: $(VENV)/test.stamp
	@$(VENV)/bin/python tests/benchmarks/calls.py

# The built wheel, not the checkout, with the oldest OpenTelemetry that is supported.
test-oldest: $(OLDEST)/test.stamp
	@$(OLDEST)/bin/python -m pytest -q

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

$(OLDEST)/test.stamp: pyproject.toml constraints-oldest.txt $(shell find src -name '*.py')
	@echo "Setting up $(OLDEST) ..."
	@test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	@$(OLDEST)/bin/python $(PIP) install --upgrade -c constraints.txt pip
	@rm -rf dist && $(OLDEST)/bin/python $(PIP) wheel --no-deps --wheel-dir dist .
	@$(OLDEST)/bin/python $(PIP) install -c constraints-oldest.txt --force-reinstall --no-deps dist/*.whl
	@$(OLDEST)/bin/python $(PIP) install -c constraints-oldest.txt dist/*.whl --group test
	@touch $@

clean:
	@rm -rf $(VENV) $(OLDEST) dist build
