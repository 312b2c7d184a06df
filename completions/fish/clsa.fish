# SPDX-License-Identifier: Apache-2.0
# fish completion of clsa. The program itself says what can follow.

function __clsa_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines ($words[1] --complete $words[2..-1] 2>/dev/null)
    if string match -q -- \t'*' $lines
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $lines
    end
end
complete -c clsa -f -a '(__clsa_complete)'
