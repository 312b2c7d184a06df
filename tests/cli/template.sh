# SPDX-License-Identifier: Apache-2.0
# clsa chat-template: documents, lines, templates of files and of models.
cat >turns.jinja <<'TEMPLATE'
{{ bos_token }}
{%- for message in messages %}
    {%- if message.role == 'fool' %}
        {{- raise_exception('no fools') }}
    {%- endif %}
[{{ message.role }}] {{ message.content | trim }}
{% endfor %}
{%- if add_generation_prompt %}[assistant]{{ ' calm' if not hurry }}
{% endif %}
TEMPLATE
cat >chat.json <<'MESSAGES'
{"messages": [{"role": "user", "content": " Who wrote\nit? "}],
 "bos_token": "<s>", "options": {"add_generation_prompt": true}}
MESSAGES
clsa chat-template --template turns.jinja -f chat.json
clsa chat-template --template turns.jinja --json <chat.json
echo '[{"role": "fool", "content": ""}]' >list.json
clsa chat-template --template turns.jinja -f list.json
cat >lines <<'LINES'
{"messages": [{"role": "user", "content": "Zürich"}], "options": {"hurry": 1}}
[{"role": "fool"}]
{"messages": 5}
LINES
clsa chat-template --template turns.jinja --jsonl <lines
clsa chat-template --template turns.jinja --jsonl --json
clsa chat-template --template turns.jinja -m model.gguf
clsa chat-template --template none.jinja
printf 'a\n{%% if x %%}' >open.jinja
clsa chat-template --template open.jinja -f chat.json
clsa chat-template -f chat.json
