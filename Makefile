# Everything a developer runs. Each target sets up what it needs in .venv; the second run is quick.
#
#   make demo     the main job on an embedded mail server, to be seen in a minute
#   make test     all CI runs: real mail servers installed where possible, then make check
#   make check    format, lint, types and all tests; what is not installed is skipped with a reason
#   make fuzz     look for inputs that break a promise, for MINUTES=10, guided by coverage
#   make soak     conversations come and go for MINUTES=3, with full disks, floods and kills; figures at the end
#   make lint     format, lint and types only
#   make format   put the code into the project's form
#   make clean    remove .venv and what the tools left behind
#
# PYTHON=/path/to/python3 names the Python for a new .venv; SERVERS=no keeps `make test` from installing servers.

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --quiet --disable-pip-version-check
PYTEST := $(PY) -m pytest -q -n auto --maxprocesses 4 --dist loadfile

.PHONY: help demo test check fuzz soak lint format clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/demo.stamp
	@$(PY) -m rawlog demo

test: $(VENV)/dev.stamp
	@SERVERS=$(SERVERS) sh tests/support/install-servers.sh
	@$(MAKE) --no-print-directory check

check: $(VENV)/dev.stamp
	@status=0; \
	$(MAKE) --no-print-directory lint || status=1; \
	$(PYTEST) || status=1; \
	exit $$status

fuzz: $(VENV)/dev.stamp
	@$(PIP) --editable '.[fuzz]'
	@$(PY) -m tests.fuzz.run --minutes $(or $(MINUTES),10)
	@nice $(PY) -m tests.fuzz.pump

soak: $(VENV)/dev.stamp
	@$(PY) -m tests.soak.run --minutes $(or $(MINUTES),3)

lint: $(VENV)/dev.stamp
	@status=0; \
	$(PY) -m ruff format --check --quiet . || { status=1; echo "format: run make format"; }; \
	$(PY) -m ruff check --quiet . || status=1; \
	$(PY) -m mypy --strict src || status=1; \
	exit $$status

format: $(VENV)/dev.stamp
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist

$(VENV)/bin/python:
	@python=$$(PYTHON="$(PYTHON)" sh tests/support/find-python.sh) && "$$python" -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml | $(VENV)/bin/python
	@echo "set-up: installing what the demonstration needs into $(VENV)"
	@$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/bin/python
	@echo "set-up: installing what the tests need into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/demo.stamp
