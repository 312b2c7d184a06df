# SPDX-License-Identifier: Apache-2.0
# Text to ids and back, in all forms.
clsa tokenize "The harbour's 3 lamps"
clsa tokenize --ids "The harbour's 3 lamps"
clsa tokenize --json "The harbour's 3 lamps"
clsa tokenize --json ''
clsa tokenize --ids 'a<|endoftext|>b'
printf 'two\nlines\t\\ \303\251' >text
clsa tokenize -f text
clsa tokenize --ids -f - <text
clsa tokenize --ids -f text >ids
clsa detokenize - <ids | cmp - text && echo same
clsa tokenize --json -f text >ids
clsa detokenize --json - <ids
clsa detokenize 43,503 '[82]' -v
echo
clsa detokenize --json ''
# Half a character does not come out as such.
clsa detokenize --json 131
clsa detokenize 8192
clsa detokenize 1K
clsa detokenize 12 x
clsa tokenize -f missing
clsa tokenize -m missing.gguf x
CLSA_MODEL=missing.gguf clsa tokenize x
# Where tokens begin and end, also in a text that is repaired.
clsa tokenize --offsets 'a<|im_end|>b'
clsa tokenize --plain --ids '<|im_end|>'
clsa tokenize --add-special --ids b
clsa tokenize --json --pieces --offsets "$(printf 'xe\314\201\377')"
# Lines of JSON.
clsa tokenize --jsonl <<'END'
{"text": "a<|im_end|>"}
{"text": "a<|im_end|>", "parse_special": true, "add_special": true}

{"base64": "Yf8=", "text": ""}
{"base64": "Yf8="}
{"base64": "Y"}
{"text": 3}
{"text": "\u0000"}
[1]
{"text":
END
clsa detokenize --jsonl <<'END'
{"ids": [503, 82]}
{"ids": []}
{"ids": [8192]}
{"ids": [1.5]}
{"ids": 1}
END
# A long line that cannot be written.
printf '{"text": "%09000d"}\n' 1 | clsa tokenize --jsonl >/dev/full
clsa tokenize --jsonl x
clsa detokenize --jsonl 1
clsa info --vocab
clsa info --vocab --json
