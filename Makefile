# make reports   run the studies; the last line is the page to open
# make full      the same in their full profile: more of everything, into reports/full
# make test      lint, types, unit tests, and the notebooks' saved outputs
# make PYTHON=python3.12 ...   with another interpreter (3.11 to 3.13)

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2

BIN := $(VENV)/bin
READY := $(VENV)/ready
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))

.PHONY: help reports full test notebooks lab clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	sys.exit(None if (3, 11) <= v <= (3, 13) else "simkit needs Python 3.11 to 3.13, and \
	$(PYTHON) is %d.%d; name another one: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  -c constraints.txt -e ".[test]"
	@touch $@

reports: $(READY)
	@$(BIN)/simkit run --out reports

full: $(READY)
	@$(BIN)/simkit run --profile full --out reports/full

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --nbval \
	  --nbval-cell-timeout 600 --nbval-kernel-name python3 \
	  --nbval-sanitize-with tests/notebooks/sanitize.cfg $(NOTEBOOKS)

# Saved without timing data, so that an unchanged notebook stays unchanged, and with the arithmetic
# of notebooks/conftest.py, so that a test on another processor finds the same.
notebooks: $(READY)
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 \
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace \
	  --ExecutePreprocessor.record_timing=False --ExecutePreprocessor.timeout=3600 $(NOTEBOOKS)

lab: $(READY)
	$(BIN)/jupyter lab notebooks

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	find notebooks -name .ipynb_checkpoints -prune -exec rm -rf {} +
