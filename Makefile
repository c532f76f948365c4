# One verb for each thing one does here; `make` alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
export PYTHON
SLOWEST := --durations=15 --durations-min=15

.PHONY: help setup demo demo-kubernetes test test-kubernetes check fix generate bench lock clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

setup: .venv/.installed ## Install everything into .venv from the locks

.venv/.installed: locks/dev.txt locks/uv.txt pyproject.toml scripts/bootstrap
	@scripts/bootstrap

demo: setup ## Watch the closed loop on two sites of this machine (about a minute)
	@$(BIN)/ferry demo

demo-kubernetes: setup ## The same on two real clusters of this machine (Linux, as root)
	@$(BIN)/python scripts/components.py ensure kubernetes buildah
	@$(BIN)/python scripts/demo_kubernetes.py

# Tests on clusters mostly wait, so their groups run side by side; clusters that are given are for one process alone.
CLUSTER_TESTS := tests/system_kubernetes $(if $(KUBECONFIG)$(FERRY_TEST_KUBECONFIG),,-n 2)
# A quarter of an hour more, for what others try in parts: every fault in every phase, the loss of the agent's node, and
# the patterns' loop as a demo.
LATER := test_rollout_faults.py::test_with_every_fault_in_every_phase \
  test_rollout_faults.py::test_the_agents_node_may_be_lost_in_the_middle test_demo_kubernetes.py

test: setup ## Run the suite; real servers and clusters are installed and built beside it, where possible
	@mkdir -p .cache/components
	@$(BIN)/python scripts/components.py ensure >.cache/components/log 2>&1 & \
	  installer=$$!; \
	  $(BIN)/python -m pytest -n 4 --components=wait $(SLOWEST); status=$$?; \
	  $(BIN)/python -m pytest $(CLUSTER_TESTS) $(LATER:%=--deselect=tests/system_kubernetes/%) --components=wait $(SLOWEST) || status=1; \
	  echo "did not run here: $(LATER); make test-kubernetes runs them, too"; \
	  kill $$installer 2>/dev/null; wait $$installer 2>/dev/null; exit $$status

test-kubernetes: setup ## Run the tests on Kubernetes clusters alone: those of KUBECONFIG, or kubebox's own
	@$(BIN)/python scripts/components.py ensure kubernetes helm buildah registry kwok squid squid-openssl
	$(BIN)/python -m pytest $(CLUSTER_TESTS) $(SLOWEST) $(ARGS)

check: setup ## Lint, format, types, floors, generated files
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/generate.py --check

fix: setup ## Format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generate: setup ## Write the generated documents and schemas anew
	$(BIN)/python scripts/generate.py

bench: setup ## Measure, in 15 minutes or so (ARGS=--quick: in 4); figures also go to benchmarks/results
	$(BIN)/python -m benchmarks $(ARGS)

lock: setup ## Resolve the dependencies anew into locks/
	scripts/lock

clean: ## Remove everything that was installed or built
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build
