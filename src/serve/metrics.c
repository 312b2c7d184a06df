/* SPDX-License-Identifier: Apache-2.0 */
/* The text of /metrics, in the format of Prometheus. */
#include "src/serve/server.h"

static void print_head(struct serve_text *text, const char *name,
                       const char *type, const char *help)
{
    serve_text_print(text, "# HELP clsa_%s %s\n# TYPE clsa_%s %s\n", name, help,
                     name, type);
}

static void print_count(struct serve_text *text, const char *name,
                        const char *help, const atomic_ullong *value)
{
    print_head(text, name, "counter", help);
    serve_text_print(text, "clsa_%s %llu\n", name, atomic_load(value));
}

static void print_gauge(struct serve_text *text, const char *name,
                        const char *help, double value)
{
    print_head(text, name, "gauge", help);
    serve_text_print(text, "clsa_%s %.10g\n", name, value);
}

/* -------------------------------------------------------------- histograms */

static const double bounds[SERVE_BOUNDS] = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1,     2.5,    5,     10,   30,    60,   120, 300};

void serve_histogram_add(struct serve_histogram *histogram, double seconds)
{
    size_t i = 0;
    while (i < SERVE_BOUNDS && seconds > bounds[i])
        i++;
    atomic_fetch_add(&histogram->counts[i], 1);
    atomic_fetch_add(&histogram->sum_us, (unsigned long long)(seconds * 1e6));
}

static void print_histogram(struct serve_text *text, const char *name,
                            const char *help, const struct serve_histogram *h)
{
    unsigned long long count = 0;
    print_head(text, name, "histogram", help);
    for (size_t i = 0; i < SERVE_BOUNDS; i++) {
        count += atomic_load(&h->counts[i]);
        serve_text_print(text, "clsa_%s_bucket{le=\"%g\"} %llu\n", name,
                         bounds[i], count);
    }
    count += atomic_load(&h->counts[SERVE_BOUNDS]);
    serve_text_print(text,
                     "clsa_%s_bucket{le=\"+Inf\"} %llu\nclsa_%s_sum %.6f\n"
                     "clsa_%s_count %llu\n",
                     name, count, name, (double)atomic_load(&h->sum_us) / 1e6,
                     name, count);
}

static void print_histograms(const struct serve_counts *c,
                             struct serve_text *text)
{
    print_histogram(text, "time_to_first_token_seconds",
                    "From the arrival of a request to its first token.",
                    &c->first);
    print_histogram(text, "inter_token_latency_seconds",
                    "Between two tokens of an answer.", &c->gap);
    print_histogram(text, "request_queue_time_seconds",
                    "From the arrival of a request until it runs.", &c->queue);
    print_histogram(text, "e2e_request_latency_seconds",
                    "From the arrival of a request to the end of its answer.",
                    &c->whole);
}

/* ------------------------------------------------------------------ counts */

static void print_counts(const struct serve_counts *c, struct serve_text *text)
{
    const struct {
        const char *name, *help;
        const atomic_ullong *value;
    } counts[] = {
        {"prompt_tokens_total", "Tokens of prompts that were computed.",
         &c->prompt_tokens},
        {"cached_tokens_total", "Tokens of prompts that came from the cache.",
         &c->cached_tokens},
        {"generation_tokens_total", "Tokens that were generated.",
         &c->generated_tokens},
        {"prefix_cache_queries_total", "Prompts looked up in the cache.",
         &c->cache_queries},
        {"prefix_cache_hits_total", "Prompts of which it had a beginning.",
         &c->cache_hits},
        {"cache_disk_hits_total", "Beginnings of prompts read from the disk.",
         &c->disk_hits},
        {"cache_evictions_total", "Snapshots dropped for memory.",
         &c->evictions},
        {"preemptions_total", "Sequences given up for memory, to start again.",
         &c->preempted},
        {"decode_steps_total", "Steps of decoding.", &c->decode_steps},
        {"decode_tokens_total", "Tokens of these steps.", &c->decode_tokens},
        {"disconnects_total", "Requests whose client left.", &c->cancelled},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        print_count(text, counts[i].name, counts[i].help, counts[i].value);
    print_head(text, "requests_total", "counter", "Requests by their end.");
    serve_text_print(text,
                     "clsa_requests_total{end=\"done\"} %llu\n"
                     "clsa_requests_total{end=\"failed\"} %llu\n"
                     "clsa_requests_total{end=\"cancelled\"} %llu\n"
                     "clsa_requests_total{end=\"late\"} %llu\n",
                     atomic_load(&c->succeeded), atomic_load(&c->failed),
                     atomic_load(&c->cancelled), atomic_load(&c->late));
}

void serve_metrics_print(const struct serve *server, struct serve_text *text)
{
    const struct serve_counts *c = &server->counts;
    print_counts(c, text);
    print_histograms(c, text);
    print_gauge(text, "requests_running", "Sequences that run.",
                atomic_load(&c->running));
    print_gauge(text, "requests_waiting", "Sequences that wait.",
                atomic_load(&c->waiting));
    print_gauge(text, "requests_reading", "Of those that run: prompts.",
                atomic_load(&c->reading));
    print_gauge(text, "cache_tokens", "Tokens that snapshots stand for.",
                (double)atomic_load(&c->cache_tokens));
    print_gauge(text, "cache_snapshots", "Snapshots in the cache.",
                atomic_load(&c->cache_entries));
    print_gauge(text, "cache_disk_files", "Files of snapshots on the disk.",
                (double)atomic_load(&c->disk_files));
    print_gauge(text, "cache_disk_bytes", "Bytes of these files.",
                (double)atomic_load(&c->disk_bytes));
    print_gauge(text, "step_seconds", "The last step of decoding.",
                (double)atomic_load(&c->step_us) / 1e6);
    print_gauge(text, "piece_seconds", "The last piece of a prompt.",
                (double)atomic_load(&c->chunk_us) / 1e6);
    print_head(text, "memory_bytes", "gauge", "Memory of the model, by kind.");
    serve_text_print(text,
                     "clsa_memory_bytes{kind=\"limit\"} %llu\n"
                     "clsa_memory_bytes{kind=\"taken\"} %llu\n"
                     "clsa_memory_bytes{kind=\"cache\"} %llu\n",
                     atomic_load(&c->memory_limit),
                     atomic_load(&c->memory_taken),
                     atomic_load(&c->cache_bytes));
    print_head(text, "build_info", "gauge", "Version and SIMD level.");
    serve_text_print(text, "clsa_build_info{version=\"%s\",isa=\"%s\"} 1\n",
                     clsa_version(),
                     atomic_load(&server->phase) == SERVE_LOADING
                         ? ""
                         : server->models[0].info.simd);
}
