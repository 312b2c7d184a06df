/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ordinary_layers: which layers see a window only, and which ones are not
 * rotated, by the rules of each kind. layer_types is refused where it says
 * something else than what is computed.
 */
#include <string.h>

#include "src/convert/ordinary.h"

/* A list of a value for each layer; NULL: the key is absent. */
static clsa_status find_list(const struct clsa_ordinary *o,
                             const struct clsa_json_source *s, const char *key,
                             const json_t **list)
{
    *list = json_object_get(s->object, key);
    if (!*list || json_is_null(*list)) {
        *list = NULL;
        return CLSA_OK;
    }
    return json_array_size(*list) == o->layers
               ? CLSA_OK
               : clsa_checkpoint_refuse_value(s, key);
}

/* layer_types to sliding[layers]; *found: it is there. */
static clsa_status read_types(const struct clsa_ordinary *o,
                              const struct clsa_json_source *s, bool *sliding,
                              bool *found)
{
    const json_t *list;
    CLSA_TRY(find_list(o, s, "layer_types", &list));
    *found = list != NULL;
    for (uint32_t i = 0; list && i < o->layers; i++) {
        const char *type = json_string_value(json_array_get(list, i));
        if (!type || (strcmp(type, "sliding_attention") != 0 &&
                      strcmp(type, "full_attention") != 0))
            return clsa_checkpoint_refuse_value(s, "layer_types");
        sliding[i] = strcmp(type, "sliding_attention") == 0;
    }
    return CLSA_OK;
}

/* no_rope_layers, which has 1 for layers that are rotated, or every n-th. */
static clsa_status read_unrotated(struct clsa_ordinary *o,
                                  const struct clsa_json_source *s)
{
    uint32_t every = o->kind->usual.every;
    const json_t *list;
    if (o->kind->windows != CLSA_WINDOWS_UNROTATED)
        return CLSA_OK;
    CLSA_TRY(clsa_checkpoint_size(s, "no_rope_layer_interval", false, &every));
    CLSA_TRY(find_list(o, s, "no_rope_layers", &list));
    for (uint32_t i = 0; i < o->layers; i++) {
        const json_t *value = json_array_get(list, i);
        if (list && !json_is_integer(value) && !json_is_boolean(value))
            return clsa_checkpoint_refuse_value(s, "no_rope_layers");
        o->unrotated[i] =
            list ? json_is_false(value) || (json_is_integer(value) &&
                                            json_integer_value(value) == 0)
                 : (i + 1) % every == 0;
    }
    return CLSA_OK;
}

/* sliding_window; null, or use_sliding_window off, is none. */
static clsa_status read_window(struct clsa_ordinary *o,
                               const struct clsa_json_source *s)
{
    const enum clsa_kind_windows how = o->kind->windows;
    const json_t *said = json_object_get(s->object, "sliding_window");
    bool use = how != CLSA_WINDOWS_LATE && how != CLSA_WINDOWS_UNROTATED;
    o->window = said ? 0 : o->kind->usual.window;
    CLSA_TRY(clsa_json_bool(s, "use_sliding_window", &use));
    CLSA_TRY(clsa_json_uint(s, "sliding_window", false, 1, CLSA_CONTEXT_LIMIT,
                            &o->window));
    if (!use)
        o->window = 0;
    /* a class without windows that is told one */
    if (how == CLSA_WINDOWS_NONE && o->window && o->window < o->context)
        return clsa_checkpoint_refuse_value(s, "sliding_window");
    return CLSA_OK;
}

/* The period of full layers, or the first layer with a window. */
static clsa_status read_every(const struct clsa_ordinary *o,
                              const struct clsa_json_source *s, uint64_t *every)
{
    *every = o->kind->usual.every;
    if (o->kind->windows == CLSA_WINDOWS_LATE)
        return clsa_json_uint(s, "max_window_layers", false, 0, 1u << 30,
                              every);
    if (!(o->kind->flags & CLSA_KIND_TWO_ROPES) ||
        o->kind->flags & CLSA_KIND_GEMMA4)
        return CLSA_OK;
    CLSA_TRY(clsa_json_uint(s, "_sliding_window_pattern", false, 1, 1u << 30,
                            every));
    return clsa_json_uint(s, "sliding_window_pattern", false, 1, 1u << 30,
                          every);
}

/* Whether layer i has a window if layer_types does not say it. */
static bool slides(const struct clsa_ordinary *o, uint32_t i, uint64_t every)
{
    switch (o->kind->windows) {
    case CLSA_WINDOWS_ALL:
        return true;
    case CLSA_WINDOWS_LATE:
        return i >= every;
    case CLSA_WINDOWS_UNROTATED:
        return o->unrotated[i];
    case CLSA_WINDOWS_EVERY:
        return (i + 1) % every != 0;
    default:
        return false;
    }
}

clsa_status clsa_ordinary_layers(struct clsa_ordinary *o,
                                 const struct clsa_json_source *s)
{
    const enum clsa_kind_windows how = o->kind->windows;
    bool types[CLSA_LAYER_LIMIT], found;
    uint64_t every;
    CLSA_TRY(read_unrotated(o, s));
    CLSA_TRY(read_window(o, s));
    CLSA_TRY(read_every(o, s, &every));
    CLSA_TRY(read_types(o, s, types, &found));
    for (uint32_t i = 0; i < o->layers; i++)
        o->sliding[i] =
            (o->window || how == CLSA_WINDOWS_EVERY) && slides(o, i, every);
    if (found && how >= CLSA_WINDOWS_LATE &&
        (o->window || how == CLSA_WINDOWS_EVERY))
        memcpy(o->sliding, types, o->layers);
    if (o->kind->flags & CLSA_KIND_GEMMA4)
        o->sliding[o->layers - 1] = types[o->layers - 1] = false;
    bool any = false, same = true;
    for (uint32_t i = 0; i < o->layers; i++) {
        any = any || o->sliding[i];
        same = same && (!found || types[i] == o->sliding[i]);
    }
    if (!same)
        return clsa_checkpoint_refuse_value(s, "layer_types");
    if (any && o->window == 0)
        return clsa_checkpoint_refuse_value(s, "sliding_window");
    return CLSA_OK;
}
