/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chat templates: what each construct of Jinja writes, in the order of the
 * language; what is refused, and with which line; and the limits. The expected
 * texts are those of Jinja 3.1.6 with the environment of chat templates.
 */
#include <string.h>

#include "src/jinja/chat_template.h"
#include "tests/suite.h"

static const char request[] =
    "{\"messages\":[{\"role\":\"user\",\"content\":\" Hi \"},"
    "{\"role\":\"assistant\",\"content\":\"Ho\",\"reasoning\":\"hm\"}],"
    "\"options\":{\"n\":7,\"f\":2.5,\"s\":\"Lamp of Zürich\",\"e\":\"\","
    "\"l\":[3,1,2],\"w\":[\"b\",\"A\",\"c\"],\"big\":18446744073709551616,"
    "\"d\":{\"b\":1,\"a\":[1,{\"x\":null}],\"items\":2},"
    "\"html\":\"<a & 'b'>\",\"nul\":null,\"yes\":true},"
    "\"now\":\"2025-03-04T05:06:07\",\"bos_token\":\"<s>\"}";

struct example {
    const char *text, *expected;
};

static const struct example examples[] = {
    /* white space around tags */
    {"a\n  {% if true %}\nb\n  {% endif %}\nc\n", "a\nb\nc"},
    {"a \n {%- if true -%} \n b {% endif %} c", "ab  c"},
    {"  {%+ if true %}x{% endif +%}\ny", "  x\ny"},
    {"x {# no\n#}\ny {{- 1 -}} \n z", "x y1z"},
    {"{% raw %} {{ x }} {% endraw %}\n.", " {{ x }} ."},
    {"a\r\nb\r\n\r\n", "a\nb\n"},
    /* literals and printing */
    {"{{ [1, 2.0, 'q', \"it's\", none, true, (1,), {'a': 1e20}] }}",
     "[1, 2.0, 'q', \"it's\", None, True, (1,), {'a': 1e+20}]"},
    {"{{ 'a\\n\\x41\\u00e9\\'' 'b' }}|{{ 0x1f + 1_000 }}",
     "a\nA\xc3\xa9'b|1031"},
    {"{{ 1e16 }} {{ 123456.7 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ -0.0 }}",
     "1e+16 123456.7 1e-05 0.30000000000000004 -0.0"},
    {"{{ ['\\t\\\\\\x07', '\\u200b'] }}", "['\\t\\\\\\x07', '\\u200b']"},
    {"{{ nothing }}{{ big }} {{ {'a': {'b': 1}}.a.b }}",
     "18446744073709551616 1"},
    /* operators */
    {"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} "
     "{{ 7.5 // 2 }} {{ -2 ** 2 }}",
     "3 -4 2 3.5 1024 3.0 4"},
    {"{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} "
     "{{ [1, 2] < [1, 3] }} {{ 1 in l and 9 not in l }}",
     "True False True True True True"},
    {"{{ 1 ~ 'a' ~ none ~ nothing }} {{ 'ab' * 2 }} {{ [1] + [2] }} "
     "{{ '%s-%03d-%.2f' % ('x', 7, 2) }}",
     "1aNone abab [1, 2] x-007-2.00"},
    {"{{ 'x' if e }}|{{ 'x' if e else 'y' }}|{{ e or 'z' }}|{{ n and 0 }}|"
     "{{ not n }}",
     "|y|z|0|False"},
    {"{{ l[::-1] }} {{ l[-1] }} {{ s[:4] }} {{ s[-2:] }} {{ s[8:4:-2] }} "
     "{{ s[9] }} {{ l[9] }}{{ range(9)[2:9:3] | list }}",
     "[2, 1, 3] 2 Lamp ch Zf \xc3\xbc [2, 5, 8]"},
    {"{{ d.b }} {{ d['a'][1].x }} {{ d.a.0 }} {{ d['items'] }} {{ d.none }}"
     "{% for k, v in d.items() %}{{ k }}{% endfor %}",
     "1 None 1 2 baitems"},
    /* statements */
    {"{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }}"
     "{{ ',' if not loop.last }}{% else %}none{% endfor %}",
     "1/2:3,2/2:2"},
    {"{% for x in [] %}{% else %}none{% endfor %}"
     "{% for x in 'ab' %}{{ loop.previtem }}{{ loop.revindex }}{{ x }}"
     "{{ loop.nextitem }}{{ loop.cycle('+', '-') }}{% endfor %}",
     "none2ab+a1b-"},
    {"{% for x in range(9) %}{% if x == 1 %}{% continue %}{% endif %}"
     "{% if x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}",
     "023"},
    {"{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{% endfor %}",
     "TrueFalseTrue"},
    {"{% set x = 1 %}{% for i in l %}{{ x }}{% set x = i %}{% endfor %}{{ x }}",
     "1111"},
    {"{% set ns = namespace(x=1) %}{% for i in l %}{% set ns.x = ns.x + i %}"
     "{% endfor %}{{ ns.x }}",
     "7"},
    {"{% set a, b = 1, 2 %}{% set c | upper %}x{{ a }}{% endset %}{{ b ~ c }}",
     "2X1"},
    {"{% macro m(a, b=a + 1) %}[{{ a }}{{ b }}{{ varargs }}{{ kwargs }}]"
     "{% endmacro %}{{ m(1) }}{{ m(1, 2, 3, k=4) }}{{ m(b=5, a=6) }}",
     "[12(){}][12(3,){'k': 4}][65(){}]"},
    {"{% macro m(x) %}({{ caller(x) }}){% endmacro %}"
     "{% call(y) m(3) %}<{{ y }}>{% endcall %}",
     "(<3>)"},
    {"{% macro f(n) %}{{ n }}{{ f(n - 1) if n }}{% endmacro %}{{ f(3) }}",
     "3210"},
    {"{% filter upper | trim %} a{{ 1 }} {% endfilter %}"
     "{% with x = 1, y = n %}{{ x + y }}{% endwith %}"
     "{% generation %}g{% endgeneration %}",
     "A18g"},
    {"{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}"
     "{% set l = l.append(m) %}{% endfor %}{{ l[3]() }}{{ l[4]() }}",
     "12"},
    /* filters */
    {"{{ ' \xc2\xa0x\xe3\x80\x80' | trim }}|{{ 'xxaxx' | trim('x') }}|"
     "{{ s | upper }}|{{ 'a-b c' | title }}|{{ 'aB' | capitalize }}",
     "x|a|LAMP OF Z\xc3\x9cRICH|A-B C|Ab"},
    {"{{ l | sort }}{{ w | sort }}{{ w | sort(true, true) }}{{ l | max }}"
     "{{ l | sum }}{{ l | first }}{{ l | last }}{{ w | join('+') }}",
     "[1, 2, 3]['A', 'b', 'c']['c', 'b', 'A']3632b+A+c"},
    {"{{ d | tojson }} {{ [1.5, 'ü\"\\n'] | tojson }} {{ nul | tojson }} "
     "{{ [1, {}] | tojson(indent=1) }}{{ big | tojson }}",
     "{\"b\": 1, \"a\": [1, {\"x\": null}], \"items\": 2} "
     "[1.5, \"\xc3\xbc\\\"\\n\"] null [\n 1,\n {}\n]18446744073709551616"},
    {"{{ d | dictsort | map('first') | list }} {{ d | items | list | length }}"
     " {{ messages | map(attribute='role') | join(',') }}",
     "['a', 'b', 'items'] 3 user,assistant"},
    {"{{ messages | selectattr('role', 'equalto', 'user') | list | length }}"
     "{{ l | select('odd') | list }}{{ l | reject('gt', 1) | list }}"
     "{{ 'yes' if [] | select }}",
     "1[3, 1][1]yes"},
    {"{{ nothing | default('d') }}{{ e | d('x', true) }}{{ '12' | int + 1 }}"
     "{{ '1.5' | float }}{{ 'z' | int(4) }}{{ 2.5 | round | int }}"
     "{{ 7 | string + '!' }}{{ -3 | abs }}",
     "dx131.5427!3"},
    {"{{ 'a\\nb' | indent(2, true) }}|{{ 'abab' | replace('a', '_', 1) }}|"
     "{{ [1, 1, 2] | unique | list }}|{{ [1, 2, 3] | batch(2) | list }}|"
     "{{ 'abc' | reverse }}",
     "  a\n  b|_bab|[1, 2]|[[1, 2], [3]]|cba"},
    {"{{ html | e }} {{ '<' | safe + '<' }} {{ html | e | e }}",
     "&lt;a &amp; &#39;b&#39;&gt; <&lt; &lt;a &amp; &#39;b&#39;&gt;"},
    {"{% for g in [{'k': 1}, {'k': 2}, {'k': 1}] | groupby('k') %}"
     "{{ g.grouper }}{{ g.list | length }}{% endfor %}",
     "1221"},
    /* tests */
    {"{{ n is odd }} {{ n is divisibleby 7 }} {{ e is defined }} "
     "{{ nothing is undefined }} {{ s is string }} {{ d is mapping }} "
     "{{ l is sequence }} {{ nul is none }} {{ yes is true }} "
     "{{ 1 is not boolean }} {{ f is float }} {{ s is not none and true }}",
     "True True True True True True True True True True True True"},
    /* methods */
    {"{{ ' a b '.strip() }}|{{ 'a,b,c'.split(',', 1) }}|{{ ' a  b'.split() }}|"
     "{{ 'abc'.startswith(('x', 'ab')) }}|{{ 'nn\\nx'.lstrip('\\n') }}|"
     "{{ 'aXbX'.replace('X', '', 1) }}|{{ 'abca'.rfind('a') }}|"
     "{{ '{} {x}'.format(1, x=2) }}",
     "a b|['a', 'b,c']|['a', 'b']|True|nn\nx|abX|3|1 2"},
    {"{% set x = [1] %}{% set _ = x.append(2) %}{{ x }}{{ x.pop() }}"
     "{{ x.index(1) }}{{ d.get('q', 5) }}{{ d.keys() | list }}",
     "[1, 2]205['b', 'a', 'items']"},
    /* functions */
    {"{{ strftime_now('%d %b %Y, %-d %B %H:%M %A %j') }}",
     "04 Mar 2025, 4 March 05:06 Tuesday 063"},
    {"{% set j = joiner('|') %}{{ j() }}a{{ j() }}b{{ dict(a=1) }}"
     "{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.next() }}",
     "a|b{'a': 1}121"},
    /* input */
    {"{{ bos_token }}{{ eos_token is defined }}{{ tools is none }}"
     "{{ messages[1].thinking }}{{ messages[1].reasoning_content }}"
     "{{ add_generation_prompt }}",
     "<s>FalseTruehmhmFalse"},
};

START_TEST(writes_as_jinja)
{
    const struct example *e = &examples[_i];
    clsa_chat_template *t;
    clsa_error error = {0};
    char *text = NULL;
    size_t size;
    ck_assert_msg(
        !clsa_chat_template_open(&t, e->text, strlen(e->text), &error),
        "%s: %s", e->text, error.message);
    ck_assert_msg(!clsa_chat_template_render(t, request, strlen(request), &text,
                                             &size, &error),
                  "%s: %s", e->text, error.message);
    ck_assert_str_eq(text, e->expected);
    ck_assert_uint_eq(size, strlen(e->expected));
    clsa_free(text);
    clsa_chat_template_close(t);
}
END_TEST

/* Templates that cannot be parsed, and a part of the message. */
static const struct example malformed[] = {
    {"a\n{% if x %}\nb", "line 2: a block has no end: {% endif %}"},
    {"\n\n{{ 1 + }}", "line 3: the tag ends too early"},
    {"{% fr x in y %}", "line 1: the tag 'fr' is not supported"},
    {"{% include 'x' %}", "the tag 'include' is not supported"},
    {"{{ x | nofilter }}", "line 1: there is no filter 'nofilter'"},
    {"{{ x is notest }}", "there is no test 'notest'"},
    {"{{ 'abc }}", "a string has no end"},
    {"{{ (1 }}", "unexpected '}'"},
    {"{# x", "a comment has no end"},
    {"{% raw %}x", "a raw block has no end"},
    {"x {{ y", "the template ends inside of a tag"},
    {"{% endfor %}", "unexpected 'endfor'"},
    {"{% break %}", "break stands outside of a loop"},
    {"{{ 99999999999999999999 }}", "past 64 bits"},
    {"{{ '\\ud800' }}", "no character"},
    {"\xff", "not valid UTF-8"},
    {"{% for x in y recursive %}{% endfor %}", "recursive loops"},
};

START_TEST(refuses_malformed)
{
    const struct example *e = &malformed[_i];
    clsa_chat_template *t = NULL;
    clsa_error error = {0};
    clsa_status status =
        clsa_chat_template_open(&t, e->text, strlen(e->text), &error);
    ck_assert_msg(status == CLSA_ERR_FORMAT || status == CLSA_ERR_UNSUPPORTED,
                  "%s: status %d", e->text, status);
    ck_assert_ptr_null(t);
    ck_assert_msg(strstr(error.message, e->expected), "%s: %s", e->text,
                  error.message);
}
END_TEST

/* Renderings that are refused: a part of the message. */
static const struct example refused[] = {
    {"x\n{{ raise_exception('no ' ~ n) }}",
     "line 2: the template refuses the messages: no 7"},
    {"{{ nothing.x }}", "'nothing' is not defined"},
    {"{{ d.q.x }}", "'q' is not defined"},
    {"{{ nothing() }}", "'nothing' is not defined"},
    {"{{ s + n }}", "+ does not go between str and int"},
    {"{{ 1 < s }}", "int and str have no order"},
    {"{{ 9223372036854775807 + 1 }}", "past 64 bits"},
    {"{{ 1 // 0 }}", "division by zero"},
    {"{% set d.x = 1 %}", "use namespace()"},
    {"{{ s.upper(1) }}", "upper takes 0 arguments at most"},
    {"{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "takes 1 arguments"},
    {"{{ {[1]: 2} }}", "list cannot be a key"},
    {"{{ nothing | tojson }}", "cannot be written as JSON"},
    {"{% if n %}{{ x | nofilter }}{% endif %}", "there is no filter"},
    {"{{ s.__class__.x }}", "'__class__' is not defined"},
    /* limits */
    {"{{ range(1000000) }}", "range has more than 100000 numbers"},
    {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
     "{% endfor %}",
     "too many steps"},
    {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested too deep"},
    {"{% set ns = namespace(x='ab') %}{% for a in range(99) %}"
     "{% set ns.x = ns.x + ns.x %}{% endfor %}",
     " MiB"},
    {"{% for a in range(999) %}{{ s * 9999 }}{% endfor %}", " MiB"},
    {"{% set l = [] %}{% set _ = l.append(l) %}{{ l }}", "nested too deep"},
    {"{% set l = [1] %}{% for x in range(99999) %}{% set _ = l.extend(l) %}"
     "{% endfor %}",
     " MiB"},
    {"{{ l[0:9:0] }}", "the step of a slice is 0"},
};

static void check_refused(const char *text, const char *with,
                          const char *message)
{
    clsa_chat_template *t;
    clsa_error error = {0};
    char *result = NULL;
    ck_assert_int_eq(clsa_chat_template_open(&t, text, strlen(text), &error),
                     CLSA_OK);
    const struct clsa_render_limits limits = {
        .steps = 3000000, .memory = 32 << 20, .output = 8 << 20};
    clsa_status status = clsa_chat_template_limited(
        t, with, strlen(with), &limits, &result, NULL, &error);
    ck_assert_msg(status == CLSA_ERR_ARGUMENT || status == CLSA_ERR_UNSUPPORTED,
                  "%s: status %d", text, status);
    ck_assert_ptr_null(result);
    ck_assert_msg(strstr(error.message, message), "%s: %s", text,
                  error.message);
    clsa_chat_template_close(t);
}

START_TEST(refuses_to_render)
{
    check_refused(refused[_i].text, request, refused[_i].expected);
}
END_TEST

/* Requests that are malformed. */
static const struct example requests[] = {
    {"", "not valid JSON"},
    {"{\"messages\":[}", "not valid JSON"},
    {"5", "not valid JSON"},
    {"{}", "messages: a list is needed"},
    {"{\"messages\":[5]}", "message 1 is not an object"},
    {"{\"messages\":[],\"tool\":[]}", "unknown key 'tool'"},
    {"{\"messages\":[],\"tools\":{}}", "tools: a list is needed"},
    {"{\"messages\":[],\"options\":[]}", "options: an object is needed"},
    {"{\"messages\":[],\"now\":\"2025-02-30T00:00:00\"}", "no such time"},
    {"{\"messages\":[],\"now\":\"today\"}", "now: a time as"},
    {"{\"messages\":[],\"bos_token\":1}", "bos_token: a string"},
    {"{\"messages\":[],\"options\":{\"continue_final_message\":true}}",
     "there is no message"},
    {"{\"messages\":[{\"role\":\"x\"}],\"options\":"
     "{\"continue_final_message\":true}}",
     "no text to go on with"},
    {"{\"messages\":[{\"content\":\"x\"}],\"options\":"
     "{\"continue_final_message\":true}}",
     "does not write the text"},
};

START_TEST(refuses_requests)
{
    check_refused("constant", requests[_i].text, requests[_i].expected);
}
END_TEST

/* The list alone, and a text that ends with the last message. */
static const struct {
    const char *text, *request, *expected;
} endings[] = {
    {"{{ messages[0].a }}.", "[{\"a\":1}]", "1."},
    {"<{{ messages[0].content }}>",
     "{\"messages\":[{\"content\":\" go on \"}],"
     "\"options\":{\"continue_final_message\":true}}",
     "< go on "},
    {"<{{ messages[0].content | trim }}>",
     "{\"messages\":[{\"content\":\" go on \"}],"
     "\"options\":{\"continue_final_message\":true}}",
     "<go on"},
    {"<{{ messages[0].content[0].text }}>",
     "{\"messages\":[{\"content\":[{\"text\":\"a\"},{\"image\":1}]}],"
     "\"options\":{\"continue_final_message\":true}}",
     "<a"},
    {"<{{ messages[0].thinking }}>",
     "{\"messages\":[{\"reasoning_content\":\"a\"}],"
     "\"options\":{\"continue_final_message\":\"reasoning_content\"}}",
     "<a"},
};

START_TEST(ends_with_message)
{
    clsa_chat_template *t;
    char *text;
    ck_assert_int_eq(clsa_chat_template_open(&t, endings[_i].text,
                                             strlen(endings[_i].text), NULL),
                     CLSA_OK);
    ck_assert_int_eq(clsa_chat_template_render(t, endings[_i].request,
                                               strlen(endings[_i].request),
                                               &text, NULL, NULL),
                     CLSA_OK);
    ck_assert_str_eq(text, endings[_i].expected);
    clsa_free(text);
    clsa_chat_template_close(t);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

int main(void)
{
    Suite *suite = suite_create("chat templates");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, writes_as_jinja, 0, COUNT(examples));
    tcase_add_loop_test(tests, refuses_malformed, 0, COUNT(malformed));
    tcase_add_loop_test(tests, refuses_to_render, 0, COUNT(refused));
    tcase_add_loop_test(tests, refuses_requests, 0, COUNT(requests));
    tcase_add_loop_test(tests, ends_with_message, 0, COUNT(endings));
    suite_add_tcase(suite, tests);
    return suite_run(suite, CK_FORK_GETENV);
}
