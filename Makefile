# Everything that is done with the book, one command each. `make help` lists them.
#
# Every target works from a fresh checkout: what needs the virtual environment first makes
# .venv from requirements.txt. Paths are relative throughout, so that the checkout may lie in a
# folder whose name has spaces or letters beyond ASCII.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed-requirements.txt
LINTED := conftest.py mnist_helpers tools tests notebooks benchmarks

# Where the site is served, and what `make outputs`, `test`, `mutants`, `studies` and `bench`
# work on.
PORT ?= 8000
NOTEBOOK ?=
STUDY ?=
BENCH ?=

# This many tests at a time, each of about 2 GB. Two cores cannot run three at once, but a third
# of the time a test waits for a browser, or for a kernel to start.
WORKERS ?= 3

# Each file to one worker, in the order that conftest.py gives them: the longest first.
PARALLEL := --dist loadfile --no-loadscope-reorder

# Where several tests share the cores, each TensorFlow operation is quickest on one core, and one
# operation at a time: a thread with nothing to do spends time looking for work. It then sums in a
# different order from when the outputs were stored, as other machines do: what is compared to the
# digit must withstand that.
ifeq ($(NOTEBOOK),)
test test-without-mnist test-oldest test-newest: export TF_NUM_INTRAOP_THREADS := 1
test test-without-mnist test-oldest test-newest: export TF_NUM_INTEROP_THREADS := 1
endif

# For what writes into the checkout.
define writable
@test -w . || { \
	echo 'This folder cannot be written to.' \
		'Copy it to one of your own, and run make there.'; \
	exit 1; } >&2
endef

# The same text encoding on every machine, whatever its locale.
export PYTHONUTF8 := 1
# Where this is set, pip leaves the packages uncompiled, and every kernel compiles
# TensorFlow again: ten seconds each.
unexport PYTHONDONTWRITEBYTECODE
# With this, a function that TensorFlow cannot make a graph of fails and says why; without it,
# TensorFlow says so in a warning, which nbval does not show, and runs the function as it is.
test test-without-mnist test-oldest test-newest: export AUTOGRAPH_STRICT_CONVERSION := 1
# Jupyter's own folders, in the form its next major version will use.
export JUPYTER_PLATFORM_DIRS := 1

.DEFAULT_GOAL := help
.PHONY: address audit bench book check checkpoints clean help lab links lock mutants old-and-new
.PHONY: outputs page pdf pictures sbom serve stress studies test test-newest test-oldest
.PHONY: test-without-mnist venv zip

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1	\2/p' Makefile | expand -t 24

book: $(INSTALLED) ## build the site into _build/html; a warning is an error
	$(writable)
	@# From scratch: a page that did not change would keep its warnings to itself.
	@rm -rf _build
	$(BIN)/jupyter-book build . -W -n --keep-going
	@echo
	@echo "The book is built. Open _build/html/index.html in a browser, or run: make serve"

serve: book ## build the site and serve it on this machine (PORT=8000)
	@echo "The book is at http://localhost:$(PORT)/ until you press Ctrl+C."
	$(BIN)/python -m http.server --bind localhost --directory _build/html $(PORT)

lab: $(INSTALLED) ## open the notebooks in JupyterLab
	$(BIN)/jupyter-lab --LabApp.default_url=/lab/tree/start.ipynb

outputs: $(INSTALLED) ## run the notebooks on MNIST and store their outputs (NOTEBOOK=data for one)
	$(BIN)/python tools/outputs.py $(NOTEBOOK)

studies: $(INSTALLED) ## make the missing tables of long runs (STUDY=parameters for one)
	$(BIN)/python tools/studies.py $(STUDY)

bench: $(INSTALLED) ## compare ways to train the network and store their times (BENCH=long for more rounds)
	$(BIN)/python benchmarks/side_by_side.py $(BENCH:%=--%)

pictures: $(INSTALLED) ## run the chapter on TensorBoard and take the pictures of TensorBoard's pages
	$(BIN)/python tools/tensorboard_pictures.py

checkpoints: $(INSTALLED) ## train the network again and store its weights
	$(BIN)/python tools/checkpoints.py

test: $(INSTALLED) ## run every test, the notebooks included (NOTEBOOK=data for one notebook alone)
	$(BIN)/python -m pytest $(if $(NOTEBOOK),$(NOTEBOOK:%=notebooks/%.ipynb),-n $(WORKERS) $(PARALLEL))

# No folder is named, the cache is empty, and what is asked of the internet goes to a dead proxy.
test-without-mnist: $(INSTALLED) ## run every test as on a new machine without internet access
	cache="$$(mktemp -d)" && trap 'rm -rf "$$cache"' EXIT && \
		env -u MNIST_DATA_DIR -u MNIST_SOURCE XDG_CACHE_HOME="$$cache" \
		http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 no_proxy=localhost,127.0.0.1 \
		$(BIN)/python -m pytest -n $(WORKERS) $(PARALLEL)

stress: $(INSTALLED) ## run the tests that kill processes, or wait, install or train for a long time
	$(BIN)/python -m pytest -n 2 $(PARALLEL) -m stress tests

mutants: $(INSTALLED) ## alter each stored number and picture, and each drawing: is it caught? (NOTEBOOK=data for one)
	$(BIN)/python tools/mutants.py --keep $(NOTEBOOK)

old-and-new: test-oldest test-newest ## run every test with the oldest versions allowed, then with the newest

# Each in an environment of its own, made from scratch. What pyproject.toml does not name is
# as new as it can be. Tests of the lock are left out.
test-oldest: python := 3.11
test-oldest: resolution := lowest-direct
test-newest: python := 3.13
test-newest: resolution := highest
test-oldest test-newest: environment = .venv-$(@:test-%=%)
test-oldest test-newest: of_the_lock := --ignore tests/test_audit.py
test-oldest test-newest: $(INSTALLED)
	$(BIN)/uv venv --quiet --clear --seed --python $(python) $(environment)
	@# The environment begins with the newest setuptools.
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(environment) \
		--reinstall-package setuptools --resolution $(resolution) --editable ".[book,dev]"
	$(environment)/bin/python -m pytest -n $(WORKERS) $(PARALLEL) $(of_the_lock)

check: $(INSTALLED) ## lint, formatting, types and spelling
	$(BIN)/ruff check $(LINTED)
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/mypy
	$(BIN)/codespell

pdf: book ## build the site and print it as one PDF, _build/book.pdf (needs Chromium)
	$(BIN)/python tools/pdf.py _build/html _build/book.pdf

zip: book ## build the site and pack it for a memory stick or a plain file server, _build/book.zip
	$(BIN)/python tools/site_zip.py _build/html _build/book.zip

# By cyclonedx-bom, in an environment of its own that uv keeps.
sbom: $(INSTALLED) ## list all that is installed, with licences, as a CycloneDX bill of materials, _build/sbom.json
	@mkdir -p _build
	$(BIN)/uv tool run --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py environment \
		--pyproject pyproject.toml --output-reproducible --short-PURLs \
		--output-file _build/sbom.json $(BIN)/python

links: $(INSTALLED) ## try every link to another site (needs the internet)
	$(BIN)/jupyter-book build . --builder linkcheck --path-output _build/links -n --keep-going

audit: $(INSTALLED) ## check for known vulnerabilities, for licences, and for gaps in the lock
	$(BIN)/python tools/audit.py

page: ## rebuild the scripts of the lab's page from lab/ (needs Node 20 and npm)
	cd lab && npm ci && npm run check && npm run build

lock: $(INSTALLED) ## rewrite requirements.txt from pyproject.toml, with today's newest versions
	$(BIN)/uv pip compile pyproject.toml --extra book --extra dev --upgrade \
		--universal --python-version 3.11 --fork-strategy fewest \
		--generate-hashes --no-header --no-emit-index-url --quiet --output-file requirements.txt

address: $(INSTALLED) ## set the repository's public address (URL=https://…), or take it away (URL=)
	$(BIN)/python tools/address.py $(if $(filter-out undefined,$(origin URL)),"$(URL)")

clean: ## remove the built site and the tools' caches (remove .venv yourself for a full reset)
	rm -rf _build build dist __pycache__ .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find book mnist_helpers notebooks tests tools -depth \
		\( -name __pycache__ -o -name .ipynb_checkpoints \) -exec rm -rf {} +

venv: $(INSTALLED) ## make or update the virtual environment

# The stamp is a copy of the lock that was installed: written last, so that an interrupted
# install is taken up again.
$(INSTALLED): requirements.txt
	$(writable)
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
		echo 'The book needs Python 3.11, 3.12 or 3.13, and "$(PYTHON)" is none of them.'; \
		echo 'If you have one under another name, say so: make $(MAKECMDGOALS) PYTHON=python3.12'; \
		exit 1; } >&2
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '"$(PYTHON)" cannot make virtual environments: its venv module is missing.'; \
		echo 'On Debian and Ubuntu install it with: sudo apt install python3-venv'; \
		exit 1; } >&2
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.txt || { \
		echo 'The packages could not be installed: see above for why. Without internet, do as'; \
		echo 'book/how-to-run.md says under "Without internet".'; \
		exit 1; } >&2
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	cp requirements.txt $(INSTALLED)
