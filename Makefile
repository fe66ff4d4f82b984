# Short names for those who have make; every line works without it.
PYTHON = .venv/bin/python

.PHONY: demo test prove lint types check docs

demo test prove:
	python3 bootstrap.py $@

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:
	$(PYTHON) -m mypy

check:
	.ci/run

docs:
	$(PYTHON) docs/make_models.py
	$(PYTHON) docs/make_families.py
	$(PYTHON) docs/make_config_fields.py
	$(PYTHON) docs/make_contract.py
