# make setup | run | test | test-all | lint | docs | reference. Each sets up what is missing first.
VENV ?= .venv
PYTHON ?= python3
# cpu, cuda or auto: auto takes the CPU build of torch where no NVIDIA driver is seen
TORCH ?= auto
DATASET ?= demo
# files of tests at once; each may start two workers and hold 3 GB
TESTS_AT_ONCE ?= 2

# DVC runs stages with the caller's PATH, not with its own environment's
export PATH := $(abspath $(VENV))/bin:$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: setup run test test-all lint docs reference clean
setup: $(VENV)/.stamp

$(VENV)/.stamp: pyproject.toml distributions/spfem-data-pipeline/pyproject.toml constraints.txt .ci/install.sh .ci/torchvision_ops.py
	PYTHON="$(PYTHON)" VENV="$(VENV)" TORCH="$(TORCH)" sh .ci/install.sh
	@touch $@

run: $(VENV)/.stamp
	dvc repro report@$(DATASET)
	@spfem-data status --dataset $(DATASET)

# The quick tests: a few minutes on two cores
test: $(VENV)/.stamp
	pytest -q -m "not slow" --durations=10 -n $(TESTS_AT_ONCE) --dist loadfile

# All tests
test-all: $(VENV)/.stamp
	pytest -q -n $(TESTS_AT_ONCE) --dist loadfile

lint: $(VENV)/.stamp
	ruff check .
	ruff format --check .
	mypy

# The site has an environment of its own: it needs none of the pipeline's libraries
docs: .venv-docs/.stamp
	.venv-docs/bin/mkdocs build --strict

.venv-docs/.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python .ci/requirements.py docs > .venv-docs/requirements.txt
	.venv-docs/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt -r .venv-docs/requirements.txt
	@touch $@

reference: $(VENV)/.stamp
	python -m cli.reference

clean:
	rm -rf $(VENV) .venv-docs site
