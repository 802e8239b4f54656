# Everything sets itself up: `make demo` and `make test` work on a bare machine with Python 3.11+.
#   make demo        watch collapse and rescue          make slurm-up    a Slurm cluster on this machine
#   make test        all but the slow tests             make slurm-down  end it, with its jobs
#   make test-full   all tests                          make test-slurm  the tests on a real Slurm alone
#   make lint        style, layers, types, scripts
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where PyTorch's CPU wheel comes from when the default index has none.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH := torch==2.13.0
# PyPI builds of these are for CUDA and break transformers beside a CPU torch.
BREAKS_CPU := torchvision torchaudio torchcodec

.PHONY: install demo test test-full test-slurm lint slurm-up slurm-down clean
.DELETE_ON_ERROR:

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints-cpu.txt Makefile
	sh .ci/host-packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip wheel
	@echo "installing torch (CPU)"
	$(BIN)/pip install --quiet "$(TORCH)+cpu" -c constraints-cpu.txt \
	  || $(BIN)/pip install --quiet "$(TORCH)+cpu" -c constraints-cpu.txt --extra-index-url $(TORCH_CPU_INDEX)
	@echo "installing the CPU stack"
	$(BIN)/pip install --quiet -c constraints-cpu.txt -e ".[cpu,dev]"
	$(BIN)/pip uninstall --quiet --yes $(BREAKS_CPU)
	@echo "building DeepSpeed's CPU op"
	$(BIN)/python -m rlavr_hpc.trainer.policy.build_ops
	touch $@

demo: install
	$(BIN)/python -m benchmarks.demo

test: install
	$(BIN)/python -m pytest -m "not slow" --durations=30

test-full: install
	$(BIN)/python -m pytest

test-slurm: install
	$(BIN)/python -m pytest tests/slurm

slurm-up:
	slurm/local_cluster/up.sh --install

slurm-down:
	slurm/local_cluster/down.sh

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/shellcheck -x .ci/run .ci/host-packages $$(find slurm -name '*.sh')

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
