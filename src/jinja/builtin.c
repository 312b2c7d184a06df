/* SPDX-License-Identifier: Apache-2.0 */
/* Looking builtins up, and binding arguments to their parameters. */
#include <string.h>

#include "src/jinja/builtin.h"

static const struct clsa_builtin *find(const struct clsa_builtin *table,
                                       const struct clsa_string *name)
{
    for (; table->name; table++)
        if (clsa_string_is(name, table->name))
            return table;
    return NULL;
}

const struct clsa_builtin *clsa_filter_find(const struct clsa_string *name)
{
    const struct clsa_builtin *const tables[] = {
        clsa_text_filters, clsa_list_filters, clsa_choice_filters,
        clsa_number_filters};
    const struct clsa_builtin *found = NULL;
    for (size_t i = 0; i < sizeof tables / sizeof *tables && !found; i++)
        found = find(tables[i], name);
    return found;
}

const struct clsa_builtin *clsa_test_find(const struct clsa_string *name)
{
    return find(clsa_tests, name);
}

const struct clsa_builtin *clsa_function_find(const struct clsa_string *name)
{
    return find(clsa_functions, name);
}

const struct clsa_builtin *clsa_method_find(enum clsa_kind kind,
                                            const struct clsa_string *name)
{
    const struct clsa_builtin *found;
    switch (kind) {
    case CLSA_STRING:
        found = find(clsa_string_methods, name);
        return found ? found : find(clsa_split_methods, name);
    case CLSA_LIST:
        found = find(clsa_list_methods, name);
        return found ? found : find(clsa_tuple_methods, name);
    case CLSA_TUPLE:
        return find(clsa_tuple_methods, name);
    case CLSA_DICT:
        return find(clsa_dict_methods, name);
    case CLSA_LOOP:
        return find(clsa_for_loop_methods, name);
    case CLSA_CYCLER:
        return find(clsa_cycler_methods, name);
    default:
        return NULL;
    }
}

struct clsa_value clsa_builtin_value(struct clsa_jinja *j,
                                     const struct clsa_builtin *builtin,
                                     struct clsa_value self)
{
    struct clsa_function *function = clsa_jinja_take(j, 1, sizeof *function);
    *function = (struct clsa_function){builtin, self};
    return (struct clsa_value){.kind = CLSA_FUNCTION, .function = function};
}

/* Number of the parameter with this name, or -1; all of them without one. */
static int parameter(const char *names, const struct clsa_string *name)
{
    int number = 0;
    while (*names) {
        const size_t n = strcspn(names, " ");
        if (name && n == name->size && memcmp(names, name->data, n) == 0)
            return number;
        number++;
        names += n + strspn(names + n, " ");
    }
    return name ? -1 : number;
}

struct clsa_value clsa_builtin_run(struct clsa_jinja *j,
                                   const struct clsa_builtin *builtin,
                                   struct clsa_value self,
                                   const struct clsa_arguments *a)
{
    struct clsa_value values[CLSA_BUILTIN_PARAMETERS] = {{.kind = CLSA_ABSENT}};
    if (strcmp(builtin->parameters, "*") == 0)
        return builtin->call(j, self, a);
    const int count = parameter(builtin->parameters, NULL);
    if (a->count > (size_t)count)
        clsa_jinja_fail(j, "%s takes %d arguments at most, not %zu",
                        builtin->name, count, a->count);
    for (size_t i = 0; i < a->count; i++)
        values[i] = a->values[i];
    for (size_t i = 0; i < a->named_count; i++) {
        const int at = parameter(builtin->parameters, a->names[i]);
        if (at < 0 || values[at].kind != CLSA_ABSENT)
            clsa_jinja_fail(j, "%s has no argument '%.*s', or has it twice",
                            builtin->name, (int)(a->names[i]->size % 100),
                            a->names[i]->data);
        values[at] = a->named[i];
    }
    for (unsigned i = 0; i < builtin->required; i++)
        if (values[i].kind == CLSA_ABSENT)
            clsa_jinja_fail(j, "%s needs %u arguments", builtin->name,
                            builtin->required);
    const struct clsa_arguments bound = {.values = values,
                                         .count = (size_t)count};
    return builtin->call(j, self, &bound);
}

int64_t clsa_argument_int(struct clsa_jinja *j, struct clsa_value v,
                          const char *name, int64_t absent)
{
    int64_t integer = absent;
    if (v.kind != CLSA_ABSENT && !clsa_value_int(v, &integer))
        clsa_jinja_fail(j, "%s needs an integer, not %s", name,
                        clsa_value_type(v));
    return integer;
}

const struct clsa_string *
clsa_argument_text(struct clsa_jinja *j, struct clsa_value v, const char *name)
{
    if (v.kind != CLSA_STRING)
        clsa_jinja_fail(j, "%s needs a string, not %s", name,
                        clsa_value_type(v));
    return v.string;
}
