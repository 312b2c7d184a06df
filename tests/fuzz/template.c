/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a chat template, and after the first byte 0 a request. What is
 * parsed and rendered is valid UTF-8 and stays within the limits.
 */
#include <string.h>

#include "src/base/utf8.h"
#include "src/jinja/chat_template.h"
#include "tests/fuzz/fuzz.h"

static const char messages[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\" Be brief. \"},"
    "{\"role\":\"user\",\"content\":\"caf\\u00e9 {{ 1 }}\"},"
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"a\","
    "\"function\":{\"name\":\"f\",\"arguments\":{\"x\":[1,-2.5,true,null,"
    "18446744073709551616]}}}]}],\"tools\":[{\"function\":{\"name\":\"f\"}}],"
    "\"options\":{\"add_generation_prompt\":true},"
    "\"now\":\"2025-03-14T15:09:26\",\"bos_token\":\"<s>\"}";

static void render(const clsa_chat_template *t, const char *request,
                   size_t size)
{
    static const struct clsa_render_limits limits = {
        .steps = 200000, .memory = (size_t)8 << 20, .output = 1 << 20};
    clsa_error error;
    char *text;
    size_t written;
    const clsa_status status = clsa_chat_template_limited(
        t, request, size, &limits, &text, &written, &error);
    if (status) {
        fuzz_failed(status, &error);
        return;
    }
    fuzz_check(written <= limits.output && text[written] == '\0');
    fuzz_check(clsa_utf8_valid(text, written));
    clsa_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *end = size > 0 ? memchr(text, 0, size) : NULL;
    const size_t first = end ? (size_t)(end - text) : size;
    clsa_chat_template *t;
    clsa_error error;
    const clsa_status status = clsa_chat_template_open(&t, text, first, &error);
    if (status) {
        fuzz_failed(status, &error);
        return 0;
    }
    render(t, messages, sizeof messages - 1);
    if (end)
        render(t, end + 1, size - first - 1);
    clsa_chat_template_close(t);
    return 0;
}
