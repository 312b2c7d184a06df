/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evaluate: runs the tree of a template. Variables live in scopes: a loop, a
 * macro, a with block and a call block have their own, an if block has none.
 */
#ifndef CLSA_JINJA_EVALUATE_H
#define CLSA_JINJA_EVALUATE_H

#include "src/jinja/builtin.h"
#include "src/jinja/node.h"

/* Statements: what they write goes to j->out. */
void clsa_run(struct clsa_jinja *j, const struct clsa_node *first);

struct clsa_value clsa_evaluate(struct clsa_jinja *j,
                                const struct clsa_node *node);

/* An operator between two values; for EQ to NOT_IN a boolean. */
struct clsa_value clsa_operate(struct clsa_jinja *j, enum clsa_operator op,
                               struct clsa_value a, struct clsa_value b);

/* "format" % values. */
struct clsa_value clsa_format(struct clsa_jinja *j,
                              const struct clsa_string *format,
                              struct clsa_value values);

/* a ~ b ~ ..., and what escape does to a value. */
struct clsa_value clsa_join_text(struct clsa_jinja *j,
                                 const struct clsa_list *parts);
struct clsa_value clsa_escape(struct clsa_jinja *j, struct clsa_value v);

/* Call any value. */
struct clsa_value clsa_call(struct clsa_jinja *j, struct clsa_value function,
                            const struct clsa_arguments *a);
struct clsa_arguments clsa_call_arguments(struct clsa_jinja *j,
                                          const struct clsa_node *first);
struct clsa_value clsa_macro_call(struct clsa_jinja *j,
                                  const struct clsa_macro *macro,
                                  const struct clsa_arguments *a);

/* Assign to a target of the parser. */
void clsa_assign(struct clsa_jinja *j, const struct clsa_node *target,
                 struct clsa_value value);
void clsa_variable_set(struct clsa_jinja *j, const struct clsa_string *name,
                       struct clsa_value value);
struct clsa_scope *clsa_scope_enter(struct clsa_jinja *j,
                                    struct clsa_scope *outer);

#endif /* CLSA_JINJA_EVALUATE_H */
