// SPDX-License-Identifier: Apache-2.0
//
// read-gguf.mjs FILE INFO: reads a GGUF file with @huggingface/gguf, found in
// node_modules of the current folder, and holds its keys and tensors against
// INFO, what clsa info --json says of the file.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.cwd()}/`);
const { gguf, GGMLQuantizationType } = await import(
    pathToFileURL(require.resolve('@huggingface/gguf')));
const [file, info] = process.argv.slice(2);
const ours = JSON.parse(readFileSync(info))[0];
const theirs = await gguf(
    file, { allowLocalFile: true, computeParametersCount: true });
let failures = 0, values = 0;

function same(what, a, b) {
    values++;
    if (a === b)
        return;
    failures++;
    console.log(`FAIL ${file}: ${what}: '${a}' of clsa, '${b}' of gguf`);
}

// A value as clsa prints it: six digits of a number, the head of a list.
function printed(text, value) {
    if (Array.isArray(value)) {
        const items = text.slice(text.indexOf('{') + 1, -1);
        const shown = text.endsWith(', ...}') ? 8 : value.length;
        const rest = value.length > shown ? ', ...' : '';
        return `[${value.length}] {${value.slice(0, shown).join(', ')}${rest}}`
            === text ? text : `${value.length} items other than ${items}`;
    }
    if (typeof value === 'number' && !Number.isInteger(value))
        return Number(value.toPrecision(6)) === Number(text) ? text : value;
    return String(value);
}

// What the reader tells of the header is among the keys.
const header = ['version', 'tensor_count', 'kv_count'];
const keys = Object.keys(theirs.metadata).filter(k => !header.includes(k));
same('version', 3, theirs.metadata.version);
same('keys', Object.keys(ours.metadata).join(), keys.join());
for (const key of keys)
    same(key, ours.metadata[key],
        printed(ours.metadata[key], theirs.metadata[key]));

same('tensors', ours.tensors.length, theirs.tensorInfos.length);
ours.tensors.forEach((tensor, i) => {
    const other = theirs.tensorInfos[i];
    same(`tensor ${i}`, tensor.name, other.name);
    same(`type of ${tensor.name}`, tensor.type.toUpperCase(),
        GGMLQuantizationType[other.dtype]);
    same(`shape of ${tensor.name}`, tensor.shape.slice().reverse().join(),
        other.shape.join());
    same(`offset of ${tensor.name}`, BigInt(tensor.offset),
        theirs.tensorDataOffset + other.offset);
});
same('weights', ours.parameters, Number(theirs.parameterCount));
console.log(`${file}: ${values} values, ${failures} differ`);
process.exit(failures ? 1 : 0);
