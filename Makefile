# make setup | run | test. Each sets up what is missing first.
VENV ?= .venv
PYTHON ?= python3
# cpu, cuda or auto: auto takes the CPU build of torch where no NVIDIA driver is seen
TORCH ?= auto
DATASET ?= demo

# DVC runs stages with the caller's PATH, not with its own environment's
export PATH := $(abspath $(VENV))/bin:$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: setup run test lint clean
setup: $(VENV)/.stamp

$(VENV)/.stamp: pyproject.toml constraints.txt .ci/install.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" TORCH="$(TORCH)" sh .ci/install.sh
	@touch $@

run: $(VENV)/.stamp
	dvc repro report@$(DATASET)
	@spfem-data status --dataset $(DATASET)

test: $(VENV)/.stamp
	pytest -q -m "not slow"

lint: $(VENV)/.stamp
	ruff check .
	ruff format --check .
	mypy

clean:
	rm -rf $(VENV)
