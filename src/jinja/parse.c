/* SPDX-License-Identifier: Apache-2.0 */
/* Statements: text, output and the tags. */
#include <string.h>

#include "src/jinja/builtin.h"
#include "src/jinja/parse.h"

static struct clsa_node *statements(struct clsa_parser *p,
                                    const char *const *ends);

static void block_end(struct clsa_parser *p)
{
    if (p->token->type != CLSA_TOK_BLOCK_END)
        clsa_parse_unexpected(p);
    p->token++;
    p->j->line = p->token->line;
}

/* The statements up to the tag with one of these names, which is next; `opened`
   is the tag that they belong to. */
static struct clsa_node *body(struct clsa_parser *p,
                              const struct clsa_node *opened,
                              const char *const *ends)
{
    struct clsa_node *first = statements(p, ends);
    if (p->token->type == CLSA_TOK_END) {
        p->j->line = opened->line;
        clsa_jinja_fail(p->j, "a block has no end: {%% %s %%} is missing",
                        ends[0]);
    }
    return first;
}

/* The same up to a tag without more in it, which is skipped. */
static struct clsa_node *whole_body(struct clsa_parser *p,
                                    const struct clsa_node *opened,
                                    const char *end)
{
    const char *const ends[] = {end, NULL};
    block_end(p);
    struct clsa_node *first = body(p, opened, ends);
    clsa_parse_skip_name(p, end);
    block_end(p);
    return first;
}

static struct clsa_node *if_tag(struct clsa_parser *p)
{
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    static const char *const last[] = {"endif", NULL};
    struct clsa_node *first = clsa_parse_node(p, CLSA_NODE_IF);
    struct clsa_node *node = first;
    p->conditions++;
    for (;;) {
        node->first = clsa_parse_tuple(p, true);
        block_end(p);
        node->second = body(p, first, ends);
        if (!clsa_parse_skip_name(p, "elif"))
            break;
        node->third = clsa_parse_node(p, CLSA_NODE_IF);
        node = node->third;
    }
    if (clsa_parse_skip_name(p, "else")) {
        block_end(p);
        node->third = body(p, first, last);
    }
    clsa_parse_skip_name(p, "endif");
    block_end(p);
    p->conditions--;
    return first;
}

static struct clsa_node *for_tag(struct clsa_parser *p)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    static const char *const last[] = {"endfor", NULL};
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_FOR);
    node->first = clsa_parse_target(p, false);
    if (!clsa_parse_skip_name(p, "in"))
        clsa_parse_unexpected(p);
    node->second = clsa_parse_tuple(p, true);
    if (clsa_parse_skip_name(p, "if"))
        node->filter = clsa_parse_expression(p);
    if (clsa_parse_is_name(p, "recursive"))
        clsa_jinja_fail_status(p->j, CLSA_ERR_UNSUPPORTED,
                               "recursive loops are not supported");
    block_end(p);
    const unsigned macros = p->macros;
    p->loops++;
    node->third = body(p, node, ends);
    p->loops--;
    node->closures = p->macros > macros;
    if (clsa_parse_skip_name(p, "else")) {
        block_end(p);
        node->else_body = body(p, node, last);
    }
    clsa_parse_skip_name(p, "endfor");
    block_end(p);
    return node;
}

static struct clsa_node *set_tag(struct clsa_parser *p)
{
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_SET);
    node->first = clsa_parse_target(p, true);
    if (clsa_parse_skip(p, "=")) {
        node->second = clsa_parse_tuple(p, false);
        block_end(p);
        return node;
    }
    node->kind = CLSA_NODE_SET_BLOCK;
    node->filter = clsa_parse_node(p, CLSA_NODE_BODY);
    if (clsa_parse_is(p, "|"))
        node->filter = clsa_parse_filters(p, node->filter);
    node->second = whole_body(p, node, "endset");
    return node;
}

/* (a, b=1) of a macro. */
static struct clsa_node *parameters(struct clsa_parser *p)
{
    struct clsa_node *first = NULL, **last = &first;
    clsa_parse_expect(p, "(");
    while (clsa_parse_item(p, ")", !first)) {
        struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_PARAMETER);
        node->name = clsa_parse_name(p);
        if (clsa_parse_skip(p, "="))
            node->first = clsa_parse_expression(p);
        *last = node;
        last = &node->next;
    }
    return first;
}

/* Parameters and body of a macro, or of what a call block gives. */
static void macro_body(struct clsa_parser *p, struct clsa_node *macro,
                       const char *end)
{
    const unsigned uses = p->uses, loops = p->loops;
    p->uses = p->loops = 0;
    p->macros++;
    macro->second = whole_body(p, macro, end);
    macro->uses = p->uses;
    p->uses = uses;
    p->loops = loops;
}

static struct clsa_node *macro_tag(struct clsa_parser *p)
{
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_MACRO);
    node->name = clsa_parse_name(p);
    node->first = parameters(p);
    macro_body(p, node, "endmacro");
    return node;
}

static struct clsa_node *call_tag(struct clsa_parser *p)
{
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_CALL_BLOCK);
    node->second = clsa_parse_node(p, CLSA_NODE_MACRO);
    node->second->name = clsa_text(p->j, "caller").string;
    if (clsa_parse_is(p, "("))
        node->second->first = parameters(p);
    node->first = clsa_parse_expression(p);
    if (node->first->kind != CLSA_NODE_CALL)
        clsa_jinja_fail(p->j, "a call block needs a call");
    macro_body(p, node->second, "endcall");
    return node;
}

static struct clsa_node *filter_tag(struct clsa_parser *p)
{
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_FILTER_BLOCK);
    node->first = clsa_parse_filter(p, clsa_parse_node(p, CLSA_NODE_BODY));
    node->first = clsa_parse_filters(p, node->first);
    node->second = whole_body(p, node, "endfilter");
    return node;
}

static struct clsa_node *with_tag(struct clsa_parser *p)
{
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_WITH);
    struct clsa_node **last = &node->first;
    while (p->token->type != CLSA_TOK_BLOCK_END) {
        if (node->first)
            clsa_parse_expect(p, ",");
        struct clsa_node *set = clsa_parse_node(p, CLSA_NODE_SET);
        set->first = clsa_parse_node(p, CLSA_NODE_NAME);
        set->first->name = clsa_parse_name(p);
        clsa_parse_expect(p, "=");
        set->second = clsa_parse_expression(p);
        *last = set;
        last = &set->next;
    }
    node->second = whole_body(p, node, "endwith");
    return node;
}

static struct clsa_node *generation_tag(struct clsa_parser *p)
{
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_SCOPE);
    node->first = whole_body(p, node, "endgeneration");
    return node;
}

static struct clsa_node *leave_tag(struct clsa_parser *p,
                                   enum clsa_node_kind kind)
{
    struct clsa_node *node = clsa_parse_node(p, kind);
    if (p->loops == 0)
        clsa_jinja_fail(p->j, "%s stands outside of a loop",
                        kind == CLSA_NODE_BREAK ? "break" : "continue");
    block_end(p);
    return node;
}

static struct clsa_node *break_tag(struct clsa_parser *p)
{
    return leave_tag(p, CLSA_NODE_BREAK);
}

static struct clsa_node *continue_tag(struct clsa_parser *p)
{
    return leave_tag(p, CLSA_NODE_CONTINUE);
}

static struct clsa_node *tag(struct clsa_parser *p)
{
    static const struct {
        const char *name;
        struct clsa_node *(*parse)(struct clsa_parser *p);
    } tags[] = {
        {"if", if_tag},       {"for", for_tag},
        {"set", set_tag},     {"macro", macro_tag},
        {"call", call_tag},   {"filter", filter_tag},
        {"with", with_tag},   {"generation", generation_tag},
        {"break", break_tag}, {"continue", continue_tag},
    };
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (clsa_parse_skip_name(p, tags[i].name))
            return tags[i].parse(p);
    if (p->token->type != CLSA_TOK_NAME)
        clsa_parse_unexpected(p);
    const struct clsa_string *name = p->token->value.string;
    if (name->size > 3 && memcmp(name->data, "end", 3) == 0)
        clsa_parse_unexpected(p);
    clsa_jinja_fail_status(p->j, CLSA_ERR_UNSUPPORTED,
                           "the tag '%.*s' is not supported",
                           (int)(name->size % 100), name->data);
}

static struct clsa_node *print(struct clsa_parser *p)
{
    struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_PRINT);
    node->first = clsa_parse_tuple(p, false);
    if (p->token->type != CLSA_TOK_PRINT_END)
        clsa_parse_unexpected(p);
    p->token++;
    return node;
}

static bool is_end(const struct clsa_parser *p, const char *const *ends)
{
    for (; *ends; ends++)
        if (clsa_parse_is_name(p, *ends))
            return true;
    return false;
}

/* Statements up to a tag of `ends`, whose name is the next token, or up to the
   end of the template. */
static struct clsa_node *statements(struct clsa_parser *p,
                                    const char *const *ends)
{
    struct clsa_node *first = NULL, **last = &first;
    if (p->j->depth >= CLSA_JINJA_NESTING)
        clsa_jinja_fail_status(p->j, CLSA_ERR_UNSUPPORTED,
                               "blocks are nested more than %d deep",
                               CLSA_JINJA_NESTING);
    clsa_jinja_enter(p->j);
    while (p->token->type != CLSA_TOK_END) {
        const enum clsa_token_type type = p->token->type;
        p->j->line = p->token->line;
        struct clsa_node *node = clsa_parse_node(p, CLSA_NODE_TEXT);
        node->value = p->token->value;
        p->token++;
        if (type == CLSA_TOK_BLOCK_BEGIN && is_end(p, ends))
            break;
        if (type == CLSA_TOK_PRINT_BEGIN)
            node = print(p);
        else if (type == CLSA_TOK_BLOCK_BEGIN)
            node = tag(p);
        *last = node;
        last = &node->next;
    }
    clsa_jinja_leave(p->j);
    return first;
}

struct clsa_node *clsa_parse(struct clsa_jinja *j, const char *text,
                             size_t size)
{
    static const char *const none[] = {NULL};
    struct clsa_token_list list = {0};
    clsa_lexer_run(j, text, size, &list);
    struct clsa_parser p = {.j = j, .token = list.tokens};
    struct clsa_node *first = statements(&p, none);
    if (p.unknown) {
        j->line = p.unknown->line;
        clsa_jinja_fail_status(
            j, CLSA_ERR_UNSUPPORTED, "there is no %s '%.*s'",
            p.unknown->kind == CLSA_NODE_TEST ? "test" : "filter",
            (int)(p.unknown->name->size % 100), p.unknown->name->data);
    }
    return first;
}
