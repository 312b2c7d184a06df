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
clsa tokenize --ids -f text | clsa detokenize - | cmp - text && echo same
clsa tokenize --json -f text | clsa detokenize --json -
clsa detokenize 43,503 '[82]' -v
echo
clsa detokenize --json ''
# Half a character does not come out as such.
id=$(clsa tokenize --ids "$(printf '\303\251\303')" | sed 's/.* //')
clsa detokenize --json "$id"
clsa detokenize 8192
clsa detokenize 1K
clsa detokenize 12 x
clsa tokenize -f missing
clsa tokenize -m missing.gguf x
CLSA_MODEL=missing.gguf clsa tokenize x
