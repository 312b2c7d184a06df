#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""chat_model.py MODEL TEMPLATE FILE: a model file with a chat template."""
import struct
import sys

source, text, target = sys.argv[1:]
data = open(source, 'rb').read()
name = b'tokenizer.chat_template'
text = text.encode() + b'{#'
pad = -(len(name) + len(text) + 2 + 20 + 2) % 32  # tensors stay aligned
text += b' ' * (pad + 2) + b'#}'
count = struct.unpack_from('<Q', data, 16)[0]
key = (struct.pack('<Q', len(name)) + name + struct.pack('<I', 8) +
       struct.pack('<Q', len(text)) + text)
open(target, 'wb').write(data[:16] + struct.pack('<Q', count + 1) + key +
                         data[24:])
