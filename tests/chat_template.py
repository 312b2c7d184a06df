#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare clsa chat-template with golden data: FOLDER CLSA...

Each file of the folder has a template and cases: the output, or why the
template refuses. Cases that fail with an undefined value or a type may be
refused or not. Exit status 1 if a case differs.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

FREE = ("undefined", "type")


def render(clsa, data):
    """The results of all cases of a file."""
    keys = ("messages", "tools", "options")
    lines = [json.dumps({key: case[key] for key in keys} |
                        {key: data[key] for key in
                         ("now", "bos_token", "eos_token")})
             for case in data["cases"]]
    with tempfile.NamedTemporaryFile(suffix=".jinja") as file:
        file.write(data["template"].encode())
        file.flush()
        run = subprocess.run(
            clsa + ["chat-template", "--template", file.name, "--jsonl"],
            check=True, input="\n".join(lines).encode(), capture_output=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def is_right(case, result):
    """Whether a result is that of the makers' library."""
    if "output" in case:
        return result.get("output") == case["output"]
    return "error" in result or case["error_kind"] in FREE


def main():
    """Exit status 0 if all cases are right."""
    folder, clsa = pathlib.Path(sys.argv[1]), sys.argv[2:]
    count = wrong = 0
    for path in sorted(folder.glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        results = render(clsa, data)
        if len(results) != len(data["cases"]):
            print(f"{path.name}: {len(results)} results of "
                  f"{len(data['cases'])} cases")
            wrong += 1
        for case, result in zip(data["cases"], results):
            count += 1
            if not is_right(case, result):
                wrong += 1
                print(f"{path.name}: {case['tag']} {case['options']}:\n"
                      f"  wanted {case.get('output', case.get('error'))!r}\n"
                      f"  got    {result}")
    print(f"{count} cases, {wrong} wrong")
    return wrong > 0 or count == 0


if __name__ == "__main__":
    sys.exit(main())
