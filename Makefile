# make app: starts the app.  make test: runs everything that must pass.
# Another Python: make app PYTHON=/path/to/python3.12

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in .venv/bin/python python3 python3.11 python3.12 python3.13 python; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
endif
VERSION := $(if $(PYTHON),$(shell $(PYTHON) -c '$(SUPPORTED)' 2>/dev/null && \
	$(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
NO_PYTHON := ELBO Room needs Python 3.11, 3.12 or 3.13: install one, or name it with make PYTHON=...

# Stamps carry the checksum of what was installed: nothing is done twice, or forgotten.
MADE := .venv/python-$(VERSION)
APP := .venv/app-$(shell cat requirements.txt | cksum | tr ' ' -)
DEV := .venv/dev-$(shell cat requirements.txt requirements-dev.txt | cksum | tr ' ' -)

.PHONY: app test lint clean

app: $(APP)
	.venv/bin/python -m streamlit run app.py

test: lint
	.venv/bin/python -m tests.browser.chromium
	.venv/bin/python -m pytest

lint: $(DEV)
	.venv/bin/python -m ruff check .

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(APP): $(MADE)
	.venv/bin/python -m pip install --disable-pip-version-check -r requirements.txt
	@rm -f .venv/app-*
	@touch $@

$(DEV): $(APP)
	.venv/bin/python -m pip install --disable-pip-version-check -r requirements-dev.txt
	@rm -f .venv/dev-*
	@touch $@

$(MADE):
	@test -n "$(VERSION)" || { echo "$(NO_PYTHON)" >&2; exit 1; }
	@.venv/bin/python -c 'import pip, sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(VERSION)")' \
		2>/dev/null || $(PYTHON) -m venv --clear .venv
	@touch $@
