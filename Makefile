# Everything here runs from a machine with Python 3.11 and make; nothing is installed outside this folder.
PYTHON ?= python3
UV := var/uv/bin/uv
RUN := .venv/bin/python -m
FOLDERS := tessera api workers migrations deploy demo bench tests
CHECKED := tests/test_rules.py tests/test_migrations.py

.DEFAULT_GOAL := help
# up and the tests start Python so often that compiling it all each time takes as long as they do
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help install lock up migrate test test-long demo check fmt bench bench-lease bench-slice bench-seams bench-export bench-quality clean

help: ## Say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(UV):
	@echo "· fetching uv"
	@$(PYTHON) -m venv var/uv
	@var/uv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9

.venv/installed: requirements.lock | $(UV)
	@echo "· installing packages into .venv"
	@test -x .venv/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --require-hashes --python .venv/bin/python requirements.lock
	@touch $@

install: .venv/installed ## Create .venv with exactly the locked packages

lock: | $(UV) ## Resolve pyproject.toml again into requirements.lock
	$(UV) pip compile pyproject.toml --quiet --all-extras --group dev --group demo --universal \
		--python-version 3.11 --generate-hashes --no-annotate --no-header -o requirements.lock

up: install ## Run everything here: servers, API, workers, a demo project; Ctrl-C stops it all
	@exec $(RUN) deploy.embedded up

migrate: install ## Bring the database that TESSERA_DATABASE_URL names up to date
	@: "$${TESSERA_DATABASE_URL:?names the database to migrate}"
	@$(RUN) alembic upgrade head

test: install ## Every test but the long ones and those of `make check`, on real servers (under 10 minutes)
	@$(RUN) pytest -m "not long" -n 3 --dist loadfile --no-loadscope-reorder $(CHECKED:%=--ignore=%)

test-long: install ## The long tests: kill -9, memory limits, hundreds at once, more examples, a second S3 implementation
	@$(RUN) pytest -m "long or hypothesis" --hypothesis-profile=long

demo: install ## The whole main job against a fresh instance; exits 0 only if the results are right
	@$(RUN) demo

check: install ## Format, lint, types, import contracts, house rules, migrations
	@.venv/bin/ruff format --check --quiet $(FOLDERS)
	@.venv/bin/ruff check --quiet $(FOLDERS)
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@$(RUN) pytest -q $(CHECKED)

fmt: install ## Format and fix what can be fixed
	@.venv/bin/ruff format --quiet $(FOLDERS)
	@.venv/bin/ruff check --fix --quiet $(FOLDERS)

bench: bench-lease bench-slice bench-seams bench-export bench-quality ## All benchmarks; results in var/bench/

bench-lease: install ## Leases and answers over HTTP beside the same statements sent to Postgres
	@$(RUN) bench.lease_answer

bench-slice: install ## Slicing beside libvips' own dzsave, on SIDE x SIDE pixels (10000)
	@$(RUN) bench.slicing --side $(or $(SIDE),10000)

bench-seams: install ## Objects cut into tiles and merged again, beside SAHI; COCO=file for your own
	@$(RUN) bench.seams $(if $(COCO),--coco $(COCO))

bench-export: install ## Dataset export at 100 k and 1 M annotations
	@$(RUN) bench.export

bench-quality: install ## Labels and their cost beside Crowd-Kit, and cheats found; DATA=folder for real crowds
	@$(RUN) bench.quality $(if $(DATA),--data $(DATA))
	@$(RUN) bench.cheating $(if $(DATA),--data $(DATA))

clean: ## Remove the environment and all local data
	@$(PYTHON) -m deploy.embedded.clean
	rm -rf .venv var
