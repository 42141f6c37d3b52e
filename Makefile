# Every verb of the project; `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup run test check generate

help: ## List the verbs
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (once, about half a minute)…"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Atelier needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv $(VENV)
	@PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

PROTOS   = $(shell cd proto && find atelier -name '*.proto' | sort)
SERVICES = $(filter %_service.proto,$(PROTOS))

generate: $(READY) ## Generate the Python code of the contract
	@rm -rf .atelier/generated && mkdir -p .atelier/generated
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iproto \
	  --python_out=.atelier/generated --mypy_out=quiet:.atelier/generated $(PROTOS)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iproto \
	  --grpc_python_out=.atelier/generated --mypy_grpc_out=quiet,only_async:.atelier/generated $(SERVICES)
	@rm -rf generated && mv .atelier/generated generated
