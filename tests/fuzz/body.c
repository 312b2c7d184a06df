/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the body of a request to clsa serve. The first byte says what is
 * asked for. A body is taken, with everything within its range, or refused with
 * one error object.
 */
#include <stdlib.h>
#include <string.h>

#include "src/serve/server.h"
#include "tests/fuzz/fuzz.h"

static const struct serve_options options = {
    .max_seqs = 2, .max_queue = 2, .max_choices = 4};

static void open_server(struct serve *s)
{
    s->options = &options;
    struct serve_model *m = &s->models[0];
    m->path = "";
    m->text = fuzz_model("good-clsa.gguf");
    m->context = 64;
    clsa_model_get_info(m->text, &m->info, sizeof m->info);
    strcpy(m->name, "fuzz");
    m->pooling = SERVE_POOL_MEAN;
    s->model_count = 1;
    fuzz_check(serve_queue_open(&s->ready));
    fuzz_check(serve_queue_open(&s->inbox));
    atomic_store(&s->phase, SERVE_READY);
}

static void check_taken(const struct serve_request *r)
{
    const struct serve_params *p = &r->params;
    fuzz_check(r->choice_count <= SERVE_INPUTS);
    fuzz_check(p->n >= 1 && p->n <= options.max_choices);
    fuzz_check(p->stop_count <= SERVE_STOPS);
    fuzz_check(p->filters.bias_count <= SERVE_BIASES);
    fuzz_check(p->logprobs >= -1 && p->logprobs <= SERVE_BEST);
    fuzz_check(r->choice_count == r->prompt_count * p->n);
    for (size_t i = 0; i < r->choice_count; i++) {
        const struct serve_choice *c = &r->choices[i];
        fuzz_check(c->length >= 1 && c->limit >= 1);
        fuzz_check(c->length + c->limit <= r->of->context);
        for (size_t j = 0; j < c->length; j++)
            fuzz_check(c->ids[j] >= 0 &&
                       (uint32_t)c->ids[j] < r->of->info.vocab);
    }
}

static void check_answered(const struct serve_request *r)
{
    fuzz_check(r->finished && r->status >= 200 && r->status <= 503);
    json_t *answer = json_loadb(r->out.data, r->out.size, JSON_ALLOW_NUL, NULL);
    fuzz_check(answer != NULL);
    const json_t *error = json_object_get(answer, "error");
    fuzz_check((r->status == 200) == (error == NULL));
    fuzz_check(!error || json_is_string(error) ||
               json_is_string(json_object_get(error, "message")));
    json_decref(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct serve server;
    if (size == 0)
        return 0;
    if (!server.options)
        open_server(&server);
    struct serve_request *r = serve_request_new(&server);
    fuzz_check(r != NULL);
    r->kind = (enum serve_kind)(data[0] % (SERVE_SHOW + 1));
    serve_text_add(&r->body, data + 1, size - 1);
    if (serve_body_read(r))
        check_taken(r);
    else
        check_answered(r);
    struct serve_link *taken = serve_queue_take(&server.ready);
    if (serve_queue_next(&server.ready, &taken)) /* it holds the request */
        serve_request_release(r);
    serve_request_release(r);
    return 0;
}
