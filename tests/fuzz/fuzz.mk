# SPDX-License-Identifier: Apache-2.0
#
# The fuzz targets, with the sources they need, built with sanitizers in the
# current folder. Without config.h the library has the scalar kernels only, and
# no hwloc: less to build, and every read is one that a sanitizer sees.
#
#   make -f tests/fuzz/fuzz.mk TOP=SOURCES CC=gcc all
#
# MODE=replay (default): AddressSanitizer and UndefinedBehaviorSanitizer, with
# the main function of replay.c. MODE=fuzzer: libFuzzer besides, for clang.
# MODE=tsan: ThreadSanitizer, and target check_team (tests/tsan.sh).
MODE = replay
TOP = .
CC = cc
PACKAGES = libutf8proc jansson libxxhash nettle
TARGETS = gguf safetensors folder session needles numbers template tokenizer body

sanitize = -fsanitize=address,undefined -fno-sanitize-recover=all
ifeq ($(MODE),tsan)
sanitize = -fsanitize=thread
endif
ifeq ($(MODE),fuzzer)
cover = -fsanitize=fuzzer-no-link
main =
link = -fsanitize=fuzzer
else
main = tests/fuzz/replay.o
endif
flags = -std=gnu11 -O1 -g1 -fno-omit-frame-pointer -ffp-contract=off -fopenmp \
	$(sanitize) -I$(TOP) -I$(TOP)/include -DCLSA_PKGDATADIR='"."' \
	$(shell pkg-config --cflags $(PACKAGES))
libs := $(shell pkg-config --libs $(PACKAGES)) -lm

# What runs with any input; the kernels are checked elsewhere and are slow.
library := $(patsubst $(TOP)/%.c,%.o,$(wildcard $(TOP)/src/base/*.c \
	$(TOP)/src/model/*.c $(TOP)/src/arch/*.c $(TOP)/src/policy/*.c \
	$(TOP)/src/convert/*.c $(TOP)/src/engine/*.c $(TOP)/src/jinja/*.c \
	$(TOP)/simd/*.c $(TOP)/simd/ref/*.c))
cli := $(addprefix src/cli/,bench/shape.o eval/needle_file.o files.o \
	habits.o library.o machine.o message.o number.o options.o progress.o \
	signals.o)
serve := $(addprefix src/serve/,embed.o llama.o ollama.o openai.o params.o \
	places.o prompt.o queue.o request.o text.o texts.o worker.o)

all: $(addprefix fuzz_,$(TARGETS))

fuzz_%: tests/fuzz/%.o tests/fuzz/fuzz.o $(main) $(cli) $(serve) $(library)
	@echo "  SANLD    $@"
	@$(CC) $(flags) $(link) -o $@ $^ $(libs)

check_team: tests/check_team.o $(library)
	@echo "  SANLD    $@"
	@$(CC) $(flags) -o $@ $^ $(libs)

objects = tests/check_team.o $(TARGETS:%=tests/fuzz/%.o) tests/fuzz/fuzz.o $(main) $(cli) $(serve) $(library)
$(objects): %.o: $(TOP)/%.c
	@mkdir -p $(@D)
	@echo "  SANCC    $<"
	@$(CC) $(flags) $(cover) -MMD -MP -c -o $@ $<

.SECONDARY:
-include $(shell find . -name '*.d' 2>/dev/null)
