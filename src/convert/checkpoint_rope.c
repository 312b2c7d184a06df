/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint_rope: what a configuration says about rotary angles: rope_theta,
 * rope_scaling, and rope_parameters, in which transformers 5 writes both, for
 * all layers or nested by the type of layers. A format says which types of
 * scaling it supports; others, and keys that are not read, are refused.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/convert/checkpoint.h"

#define PATH_SIZE 320

/* Types of scaling, and the keys that each has beside the usual ones. */
static const struct {
    const char *name;
    const char *keys[8];
} types[CLSA_SCALINGS] = {
    [CLSA_SCALING_NONE] = {"default", {NULL}},
    [CLSA_SCALING_LINEAR] = {"linear", {"factor"}},
    [CLSA_SCALING_LLAMA3] = {"llama3",
                             {"factor", "low_freq_factor", "high_freq_factor"}},
    [CLSA_SCALING_YARN] = {"yarn",
                           {"factor", "beta_fast", "beta_slow",
                            "attention_factor", "mscale", "mscale_all_dim",
                            "finetuned", "truncate"}},
    [CLSA_SCALING_LONGROPE] = {"longrope",
                               {"factor", "short_factor", "long_factor",
                                "attention_factor"}},
    [CLSA_SCALING_PROPORTIONAL] = {"proportional", {"factor"}},
};

/* Where a configuration says something, and what is supported there. */
struct reader {
    const struct clsa_json_source *s; /* one object */
    const struct clsa_angle_rules *rules;
    bool scaling; /* rope_scaling, which has to name a type */
    double theta; /* what is known so far; 0: nothing */
};

static bool is_supported(const struct clsa_angle_rules *rules,
                         enum clsa_scaling type)
{
    return type == CLSA_SCALING_NONE || (rules->scalings >> type & 1);
}

/* The keys of a rope object that are read. */
static bool is_read(const char *key, enum clsa_scaling type)
{
    static const char *const usual[] = {"rope_theta", "rope_type", "type",
                                        "partial_rotary_factor",
                                        "original_max_position_embeddings"};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (strcmp(key, usual[i]) == 0)
            return true;
    for (size_t i = 0; i < 8 && types[type].keys[i]; i++)
        if (strcmp(key, types[type].keys[i]) == 0)
            return true;
    return false;
}

static clsa_status check_keys(const struct clsa_json_source *s,
                              enum clsa_scaling type)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)s->object, key, value)
    {
        if (!json_is_null(value) && !is_read(key, type))
            return clsa_checkpoint_refuse(s, key, true);
    }
    return CLSA_OK;
}

/* ------------------------------------------------------------------- types */

static clsa_status read_llama3(struct clsa_angles *x,
                               const struct clsa_json_source *s)
{
    x->low = 1;
    x->high = 4;
    CLSA_TRY(clsa_json_number(s, "low_freq_factor", 1e-6, 1e6, &x->low));
    CLSA_TRY(clsa_json_number(s, "high_freq_factor", 1e-6, 1e6, &x->high));
    return clsa_checkpoint_refuse(s, "high_freq_factor", x->high <= x->low);
}

/* What YaRN multiplies cos and sin by, with a part m of its usual growth. */
static double yarn_magnitude(double factor, double m)
{
    return factor <= 1 ? 1 : 0.1 * m * log(factor) + 1;
}

static clsa_status read_yarn(struct clsa_angles *x,
                             const struct clsa_json_source *s)
{
    double part = 0, all = 0;
    bool truncate = true;
    CLSA_TRY(clsa_json_number(s, "beta_fast", 0, 1e6, &x->beta_fast));
    CLSA_TRY(clsa_json_number(s, "beta_slow", 0, 1e6, &x->beta_slow));
    CLSA_TRY(clsa_json_number(s, "mscale", 0, 1e3, &part));
    CLSA_TRY(clsa_json_number(s, "mscale_all_dim", 0, 1e3, &all));
    CLSA_TRY(clsa_json_bool(s, "truncate", &truncate));
    CLSA_TRY(clsa_checkpoint_refuse(s, "truncate", !truncate));
    if (part != 0 && all != 0)
        x->magnitude =
            yarn_magnitude(x->factor, part) / yarn_magnitude(x->factor, all);
    return clsa_json_number(s, "attention_factor", 1e-3, 1e3, &x->magnitude);
}

static clsa_status read_list(const struct clsa_json_source *s, const char *key,
                             const json_t **list)
{
    *list = json_object_get(s->object, key);
    bool good = json_array_size(*list) > 0;
    for (size_t i = 0; good && i < json_array_size(*list); i++) {
        const double v = json_number_value(json_array_get(*list, i));
        good = v >= 1e-6 && v <= 1e30;
    }
    if (good)
        return CLSA_OK;
    return clsa_fail(s->error, CLSA_ERR_FORMAT,
                     "%s: key '%s' is not a list of numbers above 0", s->path,
                     key);
}

static clsa_status read_longrope(struct clsa_angles *x,
                                 const struct clsa_json_source *s)
{
    CLSA_TRY(read_list(s, "short_factor", &x->brief));
    CLSA_TRY(read_list(s, "long_factor", &x->wide));
    return clsa_json_number(s, "attention_factor", 1e-3, 1e3, &x->magnitude);
}

/* The numbers of a type. A factor may be missing if it follows from the
   contexts, or is 1. */
static clsa_status read_numbers(struct clsa_angles *x,
                                const struct clsa_json_source *s, double length)
{
    const bool original = x->scaling == CLSA_SCALING_LLAMA3 ||
                          x->scaling == CLSA_SCALING_YARN ||
                          x->scaling == CLSA_SCALING_LONGROPE;
    x->factor = 0;
    CLSA_TRY(clsa_json_number(s, "factor", 1e-6, 1e6, &x->factor));
    if (x->original == 0)
        CLSA_TRY(clsa_json_number(s, "original_max_position_embeddings", 1,
                                  1e12, &x->original));
    if (original && x->original == 0)
        x->original = length;
    CLSA_TRY(clsa_checkpoint_refuse(s, "original_max_position_embeddings",
                                    original && x->original == 0));
    if (x->factor == 0 && length > 0 &&
        (x->scaling == CLSA_SCALING_YARN ||
         x->scaling == CLSA_SCALING_LONGROPE))
        x->factor = length / x->original;
    if (x->factor == 0 && x->scaling == CLSA_SCALING_PROPORTIONAL)
        x->factor = 1;
    return clsa_checkpoint_refuse(s, "factor", x->factor == 0);
}

static clsa_status wrong_type(const struct reader *r, const char *type)
{
    char list[120] = "";
    size_t used = 0, left = 0;
    for (int i = 0; i < CLSA_SCALINGS; i++)
        left += is_supported(r->rules, (enum clsa_scaling)i);
    const char *verb = left == 1 ? "is" : "are";
    for (int i = 0; i < CLSA_SCALINGS && used < sizeof list; i++) {
        if (!is_supported(r->rules, (enum clsa_scaling)i))
            continue;
        const char *end = left == 1 ? "" : left == 2 ? " and " : ", ";
        used += (size_t)snprintf(list + used, sizeof list - used, "'%s'%s",
                                 types[i].name, end);
        left--;
    }
    if (!type)
        return clsa_fail(r->s->error, CLSA_ERR_UNSUPPORTED,
                         "%s: has no rope_type: only %s %s supported",
                         r->s->path, list, verb);
    return clsa_fail(r->s->error, CLSA_ERR_UNSUPPORTED,
                     "%s: key 'rope_type' is '%.40s', which is not supported: "
                     "only %s %s",
                     r->s->path, type, list, verb);
}

/* The type of a name, among those that are supported; else NONE and false.
   LongRoPE was called su and yarn where YaRN is not meant. */
static bool find_type(const struct clsa_angle_rules *rules, const char *name,
                      enum clsa_scaling *type)
{
    const bool older = strcmp(name, "su") == 0 || strcmp(name, "yarn") == 0;
    *type = CLSA_SCALING_NONE;
    for (int i = 0; i < CLSA_SCALINGS; i++)
        if (is_supported(rules, (enum clsa_scaling)i) &&
            (strcmp(name, types[i].name) == 0 ||
             (older && i == CLSA_SCALING_LONGROPE))) {
            *type = (enum clsa_scaling)i;
            return true;
        }
    return false;
}

static clsa_status read_type(struct clsa_angles *x, const struct reader *r)
{
    const struct clsa_json_source *s = r->s;
    const char *type = NULL;
    CLSA_TRY(clsa_json_text(s, "type", &type));
    CLSA_TRY(clsa_json_text(s, "rope_type", &type));
    x->scaling = CLSA_SCALING_NONE;
    if ((!type && r->scaling) ||
        (type && !find_type(r->rules, type, &x->scaling)))
        return wrong_type(r, type);
    CLSA_TRY(check_keys(s, x->scaling));
    CLSA_TRY(
        clsa_json_number(s, "partial_rotary_factor", 1e-6, 1, &x->partial));
    if (x->scaling == CLSA_SCALING_NONE)
        return CLSA_OK;
    CLSA_TRY(read_numbers(x, s, r->rules->length));
    switch (x->scaling) {
    case CLSA_SCALING_LLAMA3:
        return read_llama3(x, s);
    case CLSA_SCALING_YARN:
        return read_yarn(x, s);
    case CLSA_SCALING_LONGROPE:
        return read_longrope(x, s);
    default:
        return CLSA_OK;
    }
}

/* ----------------------------------------------------------------- objects */

/* One object with what it says. */
static clsa_status read_object(struct clsa_angles *x, struct reader *r)
{
    static const char *const partial[] = {"partial_rotary_factor", NULL};
    const struct clsa_json_source *s = r->s;
    const char *type =
        json_string_value(json_object_get(s->object, "rope_type"));
    const bool part =
        r->rules->partial ||
        (type && strcmp(type, types[CLSA_SCALING_PROPORTIONAL].name) == 0);
    double own = r->theta;
    CLSA_TRY(clsa_checkpoint_check(s, part ? partial : NULL));
    CLSA_TRY(clsa_json_number(s, "rope_theta", 1, 1e30, &own));
    if (r->theta != 0 && own != r->theta)
        return clsa_fail(s->error, CLSA_ERR_FORMAT,
                         "%s: key 'rope_theta' is %g, but %g outside of it",
                         s->path, own, r->theta);
    r->theta = own;
    return read_type(x, r);
}

/* The object of a key, or of the layers of a type in it; NULL: none. */
static clsa_status find_object(const struct clsa_json_source *s,
                               const char *key,
                               const struct clsa_angle_rules *rules,
                               const json_t **object)
{
    const json_t *value = json_object_get(s->object, key);
    *object = NULL;
    if (!value || json_is_null(value))
        return CLSA_OK;
    if (!json_is_object(value))
        return clsa_fail(s->error, CLSA_ERR_FORMAT,
                         "%s: key '%s' is not an object", s->path, key);
    const json_t *part = json_object_get(value, rules->layers);
    if (json_is_object(part))
        *object = part;
    else if (*rules->layers == 0 ||
             (!json_object_get(value, "full_attention") &&
              !json_object_get(value, "sliding_attention")))
        *object = rules->nested ? NULL : value;
    return CLSA_OK;
}

/* Two objects that say the same. */
static clsa_status check_same(const struct clsa_angles *a,
                              const struct clsa_angles *b,
                              const struct clsa_json_source *s)
{
    const bool same =
        a->scaling == b->scaling && a->factor == b->factor &&
        a->low == b->low && a->high == b->high && a->original == b->original &&
        a->beta_fast == b->beta_fast && a->beta_slow == b->beta_slow &&
        a->magnitude == b->magnitude && a->partial == b->partial;
    return clsa_checkpoint_refuse(s, "rope_scaling", !same);
}

clsa_status clsa_checkpoint_angles(struct clsa_angles *x,
                                   const struct clsa_json_source *s,
                                   const struct clsa_angle_rules *rules)
{
    static const char *const keys[] = {"rope_parameters", "rope_scaling"};
    struct reader r = {.rules = rules, .theta = 0};
    const struct clsa_angles before = *x;
    bool found = false;
    if (rules->theta)
        CLSA_TRY(clsa_json_number(s, rules->theta, 1, 1e30, &r.theta));
    for (size_t i = 0; i < 2; i++) {
        struct clsa_angles each = before;
        const json_t *object;
        char path[PATH_SIZE];
        CLSA_TRY(find_object(s, keys[i], rules, &object));
        if (!object)
            continue;
        snprintf(path, sizeof path, "%.200s: %s", s->path, keys[i]);
        const struct clsa_json_source inner = {path, object, s->error};
        r.s = &inner;
        r.scaling = i == 1 && !found; /* the base alone may be there again */
        CLSA_TRY(read_object(&each, &r));
        if (found)
            CLSA_TRY(check_same(x, &each, s));
        *x = each;
        found = true;
    }
    if (r.theta != 0)
        x->base = r.theta;
    return CLSA_OK;
}

clsa_status clsa_checkpoint_rope(struct clsa_stack *x,
                                 const struct clsa_json_source *s,
                                 const char *layers)
{
    const struct clsa_angle_rules rules = {
        .theta = "rope_theta",
        .layers = layers,
        .scalings = 1 << CLSA_SCALING_LINEAR | 1 << CLSA_SCALING_LLAMA3,
    };
    return clsa_checkpoint_angles(&x->rope, s, &rules);
}

/* In floats, step by step as other writers of GGUF do: the last bit counts. */
float clsa_checkpoint_slower(const struct clsa_angles *x, float frequency)
{
    const float length = 1.0f / frequency * (float)(2 * 3.14159265358979323846);
    const float factor = (float)x->factor;
    if (x->scaling == CLSA_SCALING_NONE)
        return 1;
    if (x->scaling != CLSA_SCALING_LLAMA3 ||
        (double)length > x->original / x->low)
        return factor;
    if ((double)length < x->original / x->high)
        return 1;
    const float smooth = (1.0f / length * (float)x->original - (float)x->low) /
                         (float)(x->high - x->low);
    return 1.0f / ((1.0f - smooth) / factor + smooth);
}
