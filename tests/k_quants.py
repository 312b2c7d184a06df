# SPDX-License-Identifier: Apache-2.0
"""k_quants: Q4_K and Q6_K blocks of GGUF in numpy, from the description of the
format in clsa-gguf(5) alone. Independent of simd/: the tests hold one against
the other. Plain rounding, no search for small errors.

Both take and give rows as float32 [n], n a multiple of 256.
"""
import numpy as np


def f16(x):
    return np.asarray(x, np.float32).astype('<f2')


def divide(x, d):
    """x / d, and 0 where d is."""
    return x / np.where(d != 0, d, 1) * (d != 0)


def pack_q4_k(x):
    """8 parts of 32 values: d * scale * q - dmin * min, q 0..15."""
    parts = np.asarray(x, np.float32).reshape(-1, 8, 32)
    low = np.minimum(parts.min(2), 0)
    high = np.maximum(parts.max(2), 0)
    s, m = (high - low) / 15, -low
    d, dmin = f16(s.max(1) / 63), f16(m.max(1) / 63)
    df, mf = d.astype(np.float32), dmin.astype(np.float32)
    scale = np.clip(np.rint(divide(s, df[:, None])), 0, 63).astype(np.uint8)
    least = np.clip(np.rint(divide(m, mf[:, None])), 0, 63).astype(np.uint8)
    step = df[:, None] * scale
    q = np.rint(divide(parts + (mf[:, None] * least)[..., None],
                       step[..., None]))
    q = np.clip(q, 0, 15).astype(np.uint8)
    six = np.zeros((len(parts), 12), np.uint8)
    six[:, 0:4] = scale[:, :4] | scale[:, 4:] >> 4 << 6
    six[:, 4:8] = least[:, :4] | least[:, 4:] >> 4 << 6
    six[:, 8:12] = scale[:, 4:] & 15 | (least[:, 4:] & 15) << 4
    nibbles = q[:, 0::2] | q[:, 1::2] << 4
    return np.concatenate(
        (d[:, None].view(np.uint8), dmin[:, None].view(np.uint8), six,
         nibbles.reshape(-1, 128)), 1).tobytes()


def unpack_q4_k(raw):
    b = np.frombuffer(raw, np.uint8).reshape(-1, 144)
    d = b[:, 0:2].copy().view('<f2').astype(np.float32)
    dmin = b[:, 2:4].copy().view('<f2').astype(np.float32)
    p = b[:, 4:16]
    scale = np.concatenate((p[:, :4] & 63,
                            p[:, 8:] & 15 | p[:, :4] >> 6 << 4), 1)
    least = np.concatenate((p[:, 4:8] & 63,
                            p[:, 8:] >> 4 | p[:, 4:8] >> 6 << 4), 1)
    n = b[:, 16:].reshape(-1, 4, 32)
    q = np.stack((n & 15, n >> 4), 2).reshape(-1, 8, 32).astype(np.float32)
    return ((d * scale)[..., None] * q - (dmin * least)[..., None]).reshape(-1)


def pack_q6_k(x):
    """16 parts of 16 values: d * scale * (q - 32), q 0..63."""
    parts = np.asarray(x, np.float32).reshape(-1, 16, 16)
    s = np.abs(parts).max(2) / 31
    d = f16(s.max(1) / 127)
    df = d.astype(np.float32)
    scale = np.clip(np.rint(divide(s, df[:, None])), 0, 127).astype(np.int8)
    step = df[:, None] * scale
    q = np.clip(np.rint(divide(parts, step[..., None])), -32, 31) + 32
    q = q.astype(np.uint8).reshape(-1, 2, 4, 32)  # halves of 4 runs of 32
    low = np.stack((q[:, :, 0] & 15 | (q[:, :, 2] & 15) << 4,
                    q[:, :, 1] & 15 | (q[:, :, 3] & 15) << 4), 2)
    high = (q >> 4 << (2 * np.arange(4, dtype=np.uint8))[:, None]).sum(
        2, dtype=np.uint8)
    return np.concatenate((low.reshape(-1, 128), high.reshape(-1, 64),
                           scale.view(np.uint8), d[:, None].view(np.uint8)),
                          1).tobytes()


def unpack_q6_k(raw):
    b = np.frombuffer(raw, np.uint8).reshape(-1, 210)
    n = b[:, :128].reshape(-1, 2, 2, 32)
    h = b[:, 128:192].reshape(-1, 2, 1, 32)
    low = np.concatenate((n & 15, n >> 4), 2)
    q = low | (h >> (2 * np.arange(4, dtype=np.uint8))[:, None] & 3) << 4
    scale = b[:, 192:208].copy().view(np.int8).astype(np.float32)
    d = b[:, 208:].copy().view('<f2').astype(np.float32)
    return ((d * scale)[..., None] *
            (q.reshape(-1, 16, 16).astype(np.float32) - 32)).reshape(-1)
