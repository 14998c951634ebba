.PHONY: conformance check-conformance example fuzz-operators help setup build build-tests demo serve test test-server test-scale test-levels test-data sanitize fuzz bench bench-networks quality microbench format lint check-docs docs install clean

PREFIX ?= /usr/local
# In the order in which they depend on each other.
DOCUMENTED = GraphRuntime ONNXLoader Ops SDPipeline
SWIFT_SOURCES = Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources Fuzzing/Package.swift Fuzzing/Sources Examples \
	Server/Package.swift Server/Sources
MODEL_FILES = Models/emoji
# Each module's interface is written before its code is optimised, so that the modules that depend on it needn't wait: two cores are
# busy for the whole build, which takes 0.6 of the time.
# It excludes optimisation across modules, by which nothing here was faster, and needs an option that not every Swift has.
# Lists of files go into the commands: in temporary files, whose names are new each time, they'd have all of it built again.
# Debug information took a fourteenth of the processor's time; backtraces have the functions' names without it.
AHEAD = --use-integrated-swift-driver -Xswiftc -disable-cmo -Xswiftc -emit-module-separately-wmo -Xswiftc -driver-filelist-threshold=100000 -debug-info-format none
BUILD = swift build -c release $$(swift build --help-hidden | grep -q -e --use-integrated-swift-driver && echo "$(AHEAD)")

help: ## Shows the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## Installs the system libraries that are missing
	@Tools/install-dependencies.sh

build: setup ## Builds in release
	$(BUILD) --product sd-onnx

demo: build ## Makes a picture with the embedded model: demo.png
	"$$(swift build -c release --show-bin-path)/sd-onnx" generate "a red apple on a blue background" \
		--steps 20 --cfg-scale 5 --seed 7 --output demo.png
	@echo "The picture is demo.png."

serve: setup ## Builds the server, and starts it with the embedded model (SERVE="--model DIR --port 8080")
	swift build -c release --package-path Server --product sd-onnx-serve --disable-build-manifest-caching
	Server/.build/release/sd-onnx-serve $(SERVE)

test-data: ## Makes the references that git doesn't keep (Python; some minutes the first time)
	Tools/setup-test-data.sh

build-tests: setup ## Builds the tests, for "swift test -c release --skip-build --filter 'OpsTests.ReductionTests'"
	$(BUILD) --build-tests
	$(BUILD) --product sd-onnx

test: test-data build-tests ## Runs every test in release
	swift test -c release --skip-build

test-server: build test-data ## Tests the server with its clients of PyPI, and its page in Chromium
	Tools/test-server.sh

test-scale: build ## Tests batches over several processes: a Slurm array, what Kubernetes runs, GNU parallel
	Tools/test-scale.sh

test-levels: ## Runs the numeric tests with each narrower instruction set; after "make test"
	Tools/test-levels.sh

sanitize: ## Runs small tests with Address-, UndefinedBehavior- and ThreadSanitizer (SANITIZE=address or thread for one)
	Tools/sanitize.sh $(SANITIZE)

fuzz: setup ## Mutates untrusted files, a minute for each kind (SECONDS_EACH=3600 TARGETS="graph png")
	Tools/fuzz.sh

conformance: build ## Writes docs/operators.md: every operator with its versions, types and status
	"$$(Tools/setup-python.sh | tail -n 1)" Tools/conformance.py

check-conformance: ## Says whether docs/operators.md is up to date; after "make test"
	"$$(Tools/setup-python.sh | tail -n 1)" Tools/conformance.py --check

example: setup ## Builds and runs the example of an operator from another package
	test "$$(swift run -c release --package-path Examples/CustomOperator)" = "0.0 12.5 1.0"

fuzz-operators: build ## Compares drawn operators with ONNX Runtime (CASES=20000 SEED=1); differences become folders for "verify"
	"$$(Tools/setup-python.sh | tail -n 1)" Tools/fuzz-operators.py --cases $(or $(CASES),2000) --seed $(or $(SEED),1)

microbench: setup ## Times single kernels beside the machine's peak (MICROBENCH="--filter attention")
	swift run -c release --package-path Benchmarks microbench $(MICROBENCH)

bench: build ## Compares graphs and pictures with ONNX Runtime and OpenVINO at full size (BENCH="graphs --rows unet-64"; 10 GB of disk)
	Tools/bench/run.sh $(BENCH)

quality: build ## Measures what fewer evaluations cost in quality with the embedded model (QUALITY="--steps 30 --plot quality.svg")
	Tools/quality/run.sh $(QUALITY)

bench-networks: build ## Compares with ONNX Runtime on ordinary networks (BENCH="--rows magika", "--packaged" or "--architectures"; 3 GB of disk)
	Tools/bench/networks.sh $(BENCH)

format: ## Formats all Swift sources
	swift format format --in-place --recursive --parallel $(SWIFT_SOURCES)

lint: ## Checks their format
	swift format lint --strict --recursive --parallel $(SWIFT_SOURCES)

check-docs: ## Finds public symbols without documentation; after "make test"
	Tools/check-docs.py

docs: setup ## Builds the library's reference into .build/docs, from docstrings and the .docc folders; warnings are errors
	rm -rf .build/docs
	SD_ONNX_DOCS=1 swift package --allow-writing-to-directory .build/docs generate-documentation \
		$(DOCUMENTED:%=--target %) --enable-experimental-combined-documentation --warnings-as-errors --output-path .build/docs
	@echo "The reference is in .build/docs; Swift's \"docc preview\" or any web server shows it."

install: build ## Installs the program and the embedded model under PREFIX
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/share/sd-onnx/Models"
	install -m 755 "$$(swift build -c release --show-bin-path)/sd-onnx" "$(DESTDIR)$(PREFIX)/bin/sd-onnx"
	cp -R $(MODEL_FILES) "$(DESTDIR)$(PREFIX)/share/sd-onnx/Models/"

clean: ## Removes what was built
	swift package clean
