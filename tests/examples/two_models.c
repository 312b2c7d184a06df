/* SPDX-License-Identifier: Apache-2.0 */
/*
 * two_models: two models in two threads, each with threads of its own:
 *
 *     two_models MODEL.gguf MODEL.gguf
 *
 * Together the teams have no more threads than there are cores, and they are
 * not pinned, or they would wait for each other. Prints the most likely token
 * after some text, twice. It is part of libclsa(3). To build it:
 *
 *     cc two_models.c $(pkg-config --cflags --libs libclsa) -lpthread
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "clsa.h"

struct job {
    const char *path;
    uint32_t threads;
    int32_t id;
    clsa_status status;
    clsa_error error;
};

static clsa_status next_token(struct job *job, const clsa_session *session)
{
    clsa_sampler_options options;
    clsa_sampler *sampler;
    clsa_status status;

    clsa_sampler_options_init(&options);
    options.temperature = 0;
    status = clsa_sampler_open(&sampler, &options, &job->error);
    if (status != CLSA_OK)
        return status;
    status = clsa_sampler_sample(sampler, session, &job->id, &job->error);
    clsa_sampler_close(sampler);
    return status;
}

static clsa_status read_text(struct job *job, clsa_model *model)
{
    static const char text[] = "The sea was calm, and";
    clsa_session *session = NULL;
    int32_t *ids;
    size_t count;
    clsa_status status = clsa_tokenize(model, text, sizeof text - 1, 0, &ids,
                                       &count, &job->error);

    if (status != CLSA_OK)
        return status;
    status = clsa_session_open(&session, model, NULL, &job->error);
    if (status == CLSA_OK)
        status = clsa_session_append(session, ids, count, NULL, &job->error);
    if (status == CLSA_OK)
        status = next_token(job, session);
    clsa_session_close(session);
    clsa_free(ids);
    return status;
}

static void *run(void *user)
{
    struct job *job = user;
    clsa_model_options options;
    clsa_model *model;

    clsa_model_options_init(&options);
    options.threads = job->threads;
    options.numa = "off";
    job->status = clsa_model_open(&model, job->path, &options, &job->error);
    if (job->status != CLSA_OK)
        return NULL;
    job->status = read_text(job, model);
    clsa_model_close(model);
    return NULL;
}

int main(int argc, char **argv)
{
    uint32_t half = clsa_default_threads() / 2;
    struct job jobs[2] = {{0}, {0}};
    pthread_t threads[2];
    int i;

    if (argc != 3) {
        fputs("usage: two_models MODEL.gguf MODEL.gguf\n", stderr);
        return EXIT_FAILURE;
    }
    for (i = 0; i < 2; i++) {
        jobs[i].path = argv[i + 1];
        jobs[i].threads = half > 0 ? half : 1;
        if (pthread_create(&threads[i], NULL, run, &jobs[i]) != 0)
            return EXIT_FAILURE;
    }
    for (i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        if (jobs[i].status != CLSA_OK) {
            fprintf(stderr, "two_models: %s\n", jobs[i].error.message);
            return EXIT_FAILURE;
        }
        printf("%ld\n", (long)jobs[i].id);
    }
    return EXIT_SUCCESS;
}
