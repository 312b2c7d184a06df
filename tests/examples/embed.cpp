// SPDX-License-Identifier: Apache-2.0
//
// embed: libclsa in a C++17 program. Handles close themselves, failures are
// exceptions, and a session goes to memory and back:
//
//     embed MODEL.gguf TEXT
//
// Prints the most likely next token of the text, twice the same. It is part of
// libclsa(3). To build it:
//
//     c++ -std=c++17 embed.cpp $(pkg-config --cflags --libs libclsa)

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "clsa.h"

namespace
{

struct Close {
    void operator()(clsa_model *model) const
    {
        clsa_model_close(model);
    }
    void operator()(clsa_session *session) const
    {
        clsa_session_close(session);
    }
    void operator()(int32_t *ids) const
    {
        clsa_free(ids);
    }
};

template <typename T> using Handle = std::unique_ptr<T, Close>;

void check(clsa_status status, const clsa_error &error)
{
    if (status != CLSA_OK)
        throw std::runtime_error(error.message);
}

// Bytes of a session, and how far they have been read.
struct Memory {
    std::vector<char> bytes;
    std::size_t at = 0;
};

int take(void *user, const void *data, std::size_t size)
{
    auto &bytes = static_cast<Memory *>(user)->bytes;
    auto *from = static_cast<const char *>(data);
    bytes.insert(bytes.end(), from, from + size);
    return 0;
}

std::ptrdiff_t give(void *user, void *data, std::size_t size)
{
    auto &memory = *static_cast<Memory *>(user);
    size = std::min(size, memory.bytes.size() - memory.at);
    std::memcpy(data, memory.bytes.data() + memory.at, size);
    memory.at += size;
    return static_cast<std::ptrdiff_t>(size);
}

void print_next(const clsa_model *model, const clsa_session *session)
{
    clsa_model_info info;
    std::size_t size = 0;
    clsa_model_get_info(model, &info, sizeof info);
    const float *logits = clsa_session_logits(session);
    auto best = std::max_element(logits, logits + info.vocab) - logits;
    auto *bytes = clsa_token_bytes(model, static_cast<int32_t>(best), &size);
    std::printf("'%.*s'\n", static_cast<int>(size), bytes);
}

void run(const char *path, std::string_view text)
{
    clsa_error error;
    clsa_model *model;
    check(clsa_model_open(&model, path, nullptr, &error), error);
    Handle<clsa_model> close_model(model);

    int32_t *ids;
    std::size_t count;
    check(clsa_tokenize(model, text.data(), text.size(), CLSA_TOKENIZE_BOS,
                        &ids, &count, &error),
          error);
    Handle<int32_t> free_ids(ids);

    clsa_session *session;
    check(clsa_session_open(&session, model, nullptr, &error), error);
    Handle<clsa_session> close_session(session);
    check(clsa_session_append(session, ids, count, nullptr, &error), error);
    print_next(model, session);

    Memory memory;
    clsa_session *copy;
    check(clsa_session_write(session, take, &memory, &error), error);
    check(clsa_session_read(&copy, model, give, &memory, nullptr, &error),
          error);
    Handle<clsa_session> close_copy(copy);
    print_next(model, copy);
}

} // namespace

int main(int argc, char **argv)
{
    static_assert(CLSA_VERSION >= 100, "built with an older libclsa");
    if (argc != 3) {
        std::fputs("usage: embed MODEL.gguf TEXT\n", stderr);
        return 1;
    }
    try {
        run(argv[1], argv[2]);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "embed: %s\n", e.what());
        return 1;
    }
    return 0;
}
