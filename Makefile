# make reports     run the studies into simkit-reports/; the last line is the page to open
# make real        the same on a real model, smollm2, into simkit-reports/smollm2/; half an hour
# make full        the same in their full profile: more of everything, into simkit-reports/full/
# make test        lint, types, unit tests, and the notebooks' saved outputs
# make test-fast   lint, types and the quick unit tests: under two minutes on two cores
# make docs        the site, into build/docs/; the last line is the page to open
# make new-study NAME=my_study   a notebook to begin from, and what to do next
# make publish     write what is committed anew: reports/ with the real model's in reports/smollm2/,
#                  and the tables of README and docs
# make notebooks   save the notebooks' outputs anew
# make coverage    how often intervals hold the truth, into docs/coverage.md; twenty minutes
# make processors  whether all notebooks show the same under other arithmetic; half an hour or more
# make PYTHON=python3.12 ...   with another interpreter (3.11 to 3.13)

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2

BIN := $(VENV)/bin
READY := $(VENV)/ready
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))
# Their draws follow one another, so that one that falls otherwise moves all after it.
SAMPLED := $(filter notebooks/02_% notebooks/05_% notebooks/06_%,$(NOTEBOOKS))
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile
SLOWEST := docs/test_contributing.py docs/test_new_study.py docs/test_site.py \
  estimators/efficiency/test_agreement.py notebooks scoring/test_cluster.py simulations studies test_fuzz.py \
  test_makefile.py test_reports.py test_wheel.py training
NBVAL := $(PYTEST) --nbval --nbval-cell-timeout 600 --nbval-kernel-name python3 \
  --nbval-sanitize-with tests/notebooks/sanitize.cfg

.PHONY: help reports real full publish test test-fast docs new-study notebooks coverage processors lab \
  clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# An environment cannot be moved, so it is made where it stays, and taken away where that fails.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	sys.exit(None if (3, 11) <= v <= (3, 13) else "simkit needs Python 3.11 to 3.13, and \
	$(PYTHON) is %d.%d; name another one: make PYTHON=python3.12 ..." % v)'
	@if [ -n "$$(ls -A '$(VENV)' 2>/dev/null)" ] && [ ! -f '$(VENV)/pyvenv.cfg' ]; then \
	  echo "$(VENV) is no environment and not empty; name another folder: make VENV=... " >&2; \
	  exit 1; \
	fi
	@echo "setting up $(VENV)"
	@trap 'rm -rf "$(VENV)"' EXIT; trap 'exit 1' HUP INT TERM; \
	$(PYTHON) -m venv --clear '$(VENV)' && \
	'$(BIN)/python' -m pip install --quiet --disable-pip-version-check \
	  -c constraints.txt -e ".[test,docs]" && \
	touch '$@' && trap - EXIT

reports: $(READY)
	@$(BIN)/simkit run --out simkit-reports

# The index of the folder above shows each study on both models.
real: $(READY)
	@$(BIN)/simkit models add smollm2
	@$(BIN)/simkit run --model smollm2 --out simkit-reports/smollm2
	@$(BIN)/simkit index simkit-reports

full: $(READY)
	@$(BIN)/simkit run --profile full --out simkit-reports/full

publish: $(READY)
	$(BIN)/simkit models add smollm2
	$(BIN)/simkit run --model smollm2 --out reports/smollm2
	$(BIN)/simkit run --profile full --out reports/full
	$(BIN)/simkit run --out reports
	$(BIN)/python -m docs.tables

# The outputs as they come, and once more where sums are made in another order.
test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/simkit models add smollm2
	OMP_NUM_THREADS=1 $(PYTEST)
	OMP_NUM_THREADS=1 $(NBVAL) $(NOTEBOOKS)
	OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 \
	  MKL_CBWR=COMPATIBLE $(NBVAL) $(SAMPLED)

# Without what takes longest: whole notebooks, simulations, trainings, builds. The tests take about
# 180 s of processor time, so 90 s on two cores; the first run of mypy takes a minute more.
test-fast: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(PYTEST) $(SLOWEST:%=--ignore=tests/%)

# From an empty folder, so that no page stays whose source is gone. A warning is an error.
docs: $(READY)
	@rm -rf build/docs
	@$(BIN)/sphinx-build -q -E -W --keep-going -c docs -d build/doctrees . build/docs
	@echo build/docs/index.html

new-study: $(READY)
	@$(BIN)/python -m docs.new_study "$(NAME)"

# Saved without timing data, so that an unchanged notebook stays unchanged.
notebooks: $(READY)
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace \
	  --ExecutePreprocessor.record_timing=False --ExecutePreprocessor.timeout=3600 $(NOTEBOOKS)

coverage: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.simulations --jobs $(JOBS)

processors: $(READY)
	$(BIN)/python -m tests.notebooks.processors --jobs $(JOBS) $(NOTEBOOKS)

lab: $(READY)
	$(BIN)/jupyter lab notebooks

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	find notebooks -name .ipynb_checkpoints -prune -exec rm -rf {} +
