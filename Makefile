# Every verb of the project; `make help` lists them. On a fresh machine: `make run`, `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# The oldest PostgreSQL that is supported, for the storage tests (Debian: apt install postgresql-15).
POSTGRES_15_BIN ?= /usr/lib/postgresql/15/bin
STORAGE_TESTS    = $(filter-out %_planted.py %_property.py,$(wildcard $(patsubst %,tests/integration/test_%*.py,storage_ lifecycle_ ledger_ star_ sweep_ top_up)))
# A module stays in one process: its fixtures are real programs. The long ones come first by their names. More than
# two processes gained little on two cores. What one run has compiled, the next one need not compile.
PYTEST           = PYTHONDONTWRITEBYTECODE= GRPC_VERBOSITY=NONE $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup run test rolling e2e-free e2e-all chaos model inputs fuzz check check-code check-layers check-contract check-drift \
        check-postgres check-package check-stars check-ui generate catalog image translations bench bench-smoke check-ledger \
        ledger-search clean

help: ## List the verbs
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Atelier needs Python 3.11 or newer: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) (once, about a minute)…"
	@$(PYTHON) -m venv $(VENV)
	@PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 \
	  $(BIN)/python -m pip install -qq --no-compile -c constraints.txt -e '.[dev]'
	@touch $@

run: $(READY) ## Run everything here: a sandbox stands in where no key is given
	@$(BIN)/python -m devrun.run

test: $(READY) ## Run every test that needs no browser
	@$(PYTEST)

rolling: $(READY) ## Restart every process in turn under load, ten times, and see that nothing is lost or late
	@ROLLING_ROUNDS=10 $(BIN)/python -m pytest -q tests/e2e/test_rolling.py

e2e-free: $(READY) ## Take every free model from the click to the picture, with and without callbacks
	@$(BIN)/python -m tests.e2e.free_models

e2e-all: $(READY) ## Take every model from the click to its decoded result, and every value to KIE (SAMPLE=20 SEED=7, MODELS=a,b)
	@SAMPLE="$(SAMPLE)" SEED="$(SEED)" MODELS="$(MODELS)" $(BIN)/python -m tests.e2e.every_model

chaos: $(READY) ## Attack the real processes and hold them to their promises (SEED=7 or SEEDS=1-10, JOBS=500)
	@SEED=$(SEED) SEEDS=$(SEEDS) JOBS=$(JOBS) $(BIN)/python -m tests.chaos

model: $(READY) ## Visit every state of the race for one job, and find every planted bug (TRACE=lease shows how)
	@TRACE="$(TRACE)" $(BIN)/python -m tests.model
	@ATELIER_MODEL_EXAMPLES=200 $(BIN)/python -m pytest -q --timeout 900 tests/model/test_stateful.py

check-ledger: $(READY) ## Check that no credit is lost or invented, in the database of the settings
	@$(BIN)/python -m generation_svc.check_ledger

ledger-search: $(READY) ## Move money in any order on a real database, and check after each step (SEED=7, EXAMPLES=500)
	@SEED="$(SEED)" EXAMPLES=$(or $(EXAMPLES),500) GRPC_VERBOSITY=NONE $(BIN)/python -m pytest -q --timeout 0 \
	  tests/integration/test_ledger_property.py tests/integration/test_ledger_planted.py

inputs: $(READY) ## Check every model with generated inputs: those that fit, and those that break each of its rules
	@ATELIER_ALL_INPUTS=1 $(PYTEST) tests/unit/test_model_inputs.py

fuzz: $(READY) ## Send odd inputs to the five doors of the real processes (SEED=7, INPUTS=20000)
	@SEED=$(SEED) INPUTS=$(INPUTS) $(BIN)/python -m tests.fuzz

check: check-code check-layers check-contract check-drift check-postgres check-package check-stars ## Run every check that is no test

check-code: $(READY) ## Check format, lint and types
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy

CORE = $(addprefix generation_svc/,domain lifecycle usecase engine)
# The ledger counts in what somebody is paid with: `kie_milli` is a currency, as `xtr` is.
check-layers: $(READY) ## Check that the layers import in one direction
	@$(BIN)/lint-imports --no-logo
	@! grep -rniP '\bkie(?!_milli\b)' --include='*.py' $(CORE) || (echo "Only generation_svc/provider/kie and the wiring know KIE."; exit 1)

# What clients of 0.1.0 send and read stays as it is on the wire, whatever later releases were.
WIRE = {"version": "v2", "modules": [{"path": "proto"}], "breaking": {"use": ["WIRE"]}}
check-contract: $(READY) ## Check the contract: lint, format, nothing broken since the last release
	@$(BIN)/buf lint
	@$(BIN)/buf format -d --exit-code
	@$(BIN)/buf breaking --against proto/released.binpb
	@$(BIN)/buf breaking --against proto/released-0.1.0.binpb --config '$(WIRE)'

check-drift: $(READY) ## Check that generated files are what their sources say
	@$(MAKE) -s generated GENERATED=.atelier/drift
	@diff -r -x __pycache__ .atelier/drift generated || (echo "generated/ is not what proto/ says: make generate"; exit 1)
	@$(BIN)/python -m generation_svc.catalog --check

check-postgres: $(READY) ## Run the storage tests on PostgreSQL 15; `make test` runs them on 18
	@test -x $(POSTGRES_15_BIN)/postgres || (echo "No PostgreSQL 15 in $(POSTGRES_15_BIN): install it or set POSTGRES_15_BIN."; exit 1)
	@TEST_POSTGRES_BIN=$(POSTGRES_15_BIN) $(PYTEST) $(STORAGE_TESTS)

check-package: $(READY) ## Build the wheel, install it into an empty environment and run all of it there
	@$(BIN)/python -m tests.package

check-stars: $(READY) ## Hold the sandbox's Telegram Stars against aiogram's models, in an environment of its own
	@$(BIN)/python -m tests.stars

check-ui: $(READY) ## See it with a browser and with Node.js (SCREENSHOTS=docs renews the pictures)
	@SCREENSHOTS=$(SCREENSHOTS) $(BIN)/python -m tests.ui

bench: $(READY) ## Measure the service beside the barest programs that do the same (ROWS=create,idle, JOBS=50000, JSON=1)
	@GRPC_VERBOSITY=NONE $(BIN)/python -m tests.bench --rows "$(ROWS)" --jobs $(or $(JOBS),0) $(if $(JSON),--json)

bench-smoke: $(READY) ## Count statements, transactions and imports on the real processes; a count that rises fails
	@GRPC_VERBOSITY=NONE $(BIN)/python -m tests.bench.smoke

PROTOS    = $(shell cd proto && find atelier -name '*.proto' | sort)
SERVICES  = $(filter %_service.proto,$(PROTOS))
PROTOC    = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iproto
GENERATED = .atelier/generated

generate: $(READY) ## Generate the Python code of the contract
	@$(MAKE) -s generated
	@rm -rf generated && mv $(GENERATED) generated

.PHONY: generated
generated:
	@rm -rf $(GENERATED) && mkdir -p $(GENERATED)
	@$(PROTOC) --python_out=$(GENERATED) --mypy_out=quiet:$(GENERATED) $(PROTOS)
	@$(PROTOC) --grpc_python_out=$(GENERATED) --mypy_grpc_out=quiet,only_async:$(GENERATED) $(SERVICES)
	@touch $(GENERATED)/atelier/py.typed

catalog: $(READY) ## Build the catalog from the documents in models/, checked: a start trusts that
	@$(BIN)/python -m generation_svc.catalog

image: $(READY) ## Take the contract as released: later ones must not break it
	@$(BIN)/buf build -o proto/released.binpb

clean: ## Remove the environment and all data
	@rm -rf $(VENV) .atelier

translations: $(READY) ## Compile the bot's Russian catalog; a test names texts that it lacks
	@$(BIN)/pybabel -q compile -D edge_bot -d edge_bot/view/locales
