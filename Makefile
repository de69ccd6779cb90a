# Everything happens inside this folder; only the package registry is asked for anything.

PYTHON ?= python3
DEMO := .venv-demo
DEV := .venv
DOCS := .venv-docs
OLDEST := .venv-oldest

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export HF_HOME := $(CURDIR)/.cache/huggingface
export HF_HUB_OFFLINE := 1
export HF_DATASETS_DISABLE_PROGRESS_BARS := 1
# Images of containers set it, and then every process of the tests compiles all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test lint docs test-engines test-oldest mutants docs-tables clean other_python

help:  ## say what there is
	@echo "make TARGET [PYTHON=python3.12]"
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/'

demo: $(DEMO)/ready  ## build red and blue shapes at ten levels, prove them, load one
	$(DEMO)/bin/cnlw build --noise red --level all
	$(DEMO)/bin/cnlw build --noise blue --level all
	$(DEMO)/bin/cnlw validate
	$(DEMO)/bin/python -c 'from datasets import load_dataset as load; print(load("builds/shapes", "red_40"))'
	@echo
	@echo "Look at:"
	@for path in builds/shapes/README.md builds/shapes/samples_*.png; do echo "  $$path"; done
	@echo "Load it, here with $(DEMO)/bin/python:"
	@echo '  from datasets import load_dataset'
	@echo '  train = load_dataset("builds/shapes", "red_40", split="train").shuffle(seed=0)'

test: lint  ## lint, then every test, the slow ones too
	$(DEV)/bin/pytest -q -n auto --dist worksteal

# Ray may listen on all interfaces; here loopback is the only one, and no process outlives make.
own_network = unshare --map-root-user --net --pid --fork --mount-proc --kill-child \
  sh -c 'ip link set lo up && exec "$$@"' sh

test-engines: $(DEV)/ray  ## the tests that start Ray, in a network of their own (Linux)
	$(own_network) $(DEV)/bin/pytest -q -m ray tests

test-oldest: $(OLDEST)/ready  ## every test on Python 3.12 with the oldest torch that is allowed
	$(OLDEST)/bin/pytest -q -n auto --dist worksteal

lint: $(DEV)/ready  ## ruff, mypy and the import contracts
	$(DEV)/bin/ruff check --quiet .
	$(DEV)/bin/ruff format --check --quiet .
	$(DEV)/bin/mypy --no-error-summary
	$(DEV)/bin/lint-imports --no-logo

docs: $(DOCS)/ready  ## build the documentation site, strictly, into site/html
	$(DOCS)/bin/python -m docs.generate site
	$(DOCS)/bin/zensical build --strict -f site/mkdocs.yml
	@echo "Open site/html/index.html"

mutants: $(DEV)/ready  ## plant mistakes one at a time and see whether tests notice
	$(DEV)/bin/python -m benchmarks.mutants

docs-tables: $(DEV)/ready  ## write the tables of keys in pipelines/*.md anew
	$(DEV)/bin/python -m tests.recipe.test_key_tables

clean:  ## delete builds, caches and all environments
	rm -rf $(DEMO) $(DEV) $(DOCS) $(OLDEST) builds site runs dist .cache .*_cache .hypothesis
	find cnlw_tools tests -name __pycache__ -prune -exec rm -rf {} +

# An environment is brought up to date where it stands; `ready` says that it was. One of another
# Python than the PYTHON that you give is made anew.
has_other_python = [ -d $(1)/bin ] && \
  [ "$$($(PYTHON) -V 2>/dev/null)" != "$$($(1)/bin/python -V 2>/dev/null)" ]
anew_if_other = $(if $(filter-out file,$(origin PYTHON)),$(shell \
  if $(has_other_python); then echo other_python; fi))

# pip compiles nothing: every environment uses a part of its modules, and Python compiles those when
# they are first imported.
$(DEMO)/ready: pyproject.toml constraints.txt $(call anew_if_other,$(DEMO))
	$(call environment,$(DEMO))
	$(DEMO)/bin/pip install --quiet --no-compile -c constraints.txt -e .
	@touch $@

$(DEV)/ready: pyproject.toml constraints.txt $(call anew_if_other,$(DEV))
	$(call environment,$(DEV))
	$(DEV)/bin/pip install --quiet --no-compile -c constraints.txt -e '.[train]' --group dev
	@touch $@

$(DEV)/ray: $(DEV)/ready
	$(DEV)/bin/pip install --quiet --no-compile -c constraints.txt -e '.[ray]'
	@touch $@

$(DOCS)/ready: pyproject.toml constraints.txt $(call anew_if_other,$(DOCS))
	$(call environment,$(DOCS))
	$(DOCS)/bin/pip install --quiet --no-compile -c constraints.txt -e . --group docs
	@touch $@

# What torch itself depends on has other versions there.
oldest_torch = $(shell grep -oE 'torch(vision)?>=[0-9.]+' pyproject.toml | sed 's/>=\(.*\)/==\1.*/')
of_torch := torch|torchvision|triton|nvidia-|cuda-|setuptools

$(OLDEST)/ready: PYTHON = python3.12
$(OLDEST)/ready: pyproject.toml constraints.txt $(call anew_if_other,$(OLDEST))
	$(call environment,$(OLDEST))
	sed -E '/^($(of_torch))/d' constraints.txt > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/pip install --quiet --no-compile -c $(OLDEST)/constraints.txt -e '.[train]' --group dev $(oldest_torch)
	@touch $@

define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "This needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1). Try make PYTHON=python3.12" >&2; exit 1; }
	@if $(has_other_python); then rm -rf $(1); fi
	$(PYTHON) -m venv $(1) --without-pip
	@# The pip of this Python installs the new one faster than ensurepip, if it is there and new enough.
	@$(PYTHON) -m pip --python $(1)/bin/python $(install_pip) 2>/dev/null || { \
	  $(1)/bin/python -m ensurepip >/dev/null && $(1)/bin/python -m pip $(install_pip); }
endef
install_pip = install --quiet --upgrade -c constraints.txt pip
