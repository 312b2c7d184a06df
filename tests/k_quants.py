# SPDX-License-Identifier: Apache-2.0
"""k_quants: blocks of GGUF with few bits in numpy, from the description of the
format in clsa-gguf(5) alone. Independent of simd/: the tests hold one against
the other. Plain rounding, no search for small errors.

Rows are float32 [n], n a multiple of 256. SIZES: values and bytes of a block,
by GGUF type; UNPACK: what reads it.
"""
import zlib

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


# ---------------------------------------------------------- read, not written


def blocks(raw, size):
    return np.frombuffer(raw, np.uint8).reshape(-1, size)


def half(b, at):
    """The F16 at byte `at` of each block, as [n][1]."""
    return b[:, at:at + 2].copy().view('<f2').astype(np.float32)


def nibbles(b, at):
    """[n][32]: low nibbles of 16 bytes, then the high ones."""
    n = b[:, at:at + 16]
    return np.concatenate((n & 15, n >> 4), 1)


def fifth(b, at):
    """[n][32]: 16 for each bit that is set."""
    return np.unpackbits(b[:, at:at + 4], axis=1, bitorder='little') << 4


def unpack_q4_1(raw):
    b = blocks(raw, 20)
    return (half(b, 0) * nibbles(b, 4) + half(b, 2)).reshape(-1)


def unpack_q5_0(raw):
    b = blocks(raw, 22)
    q = (nibbles(b, 6) | fifth(b, 2)).astype(np.float32) - 16
    return (half(b, 0) * q).reshape(-1)


def unpack_q5_1(raw):
    b = blocks(raw, 24)
    q = nibbles(b, 8) | fifth(b, 4)
    return (half(b, 0) * q + half(b, 2)).reshape(-1)


def pairs(b, at):
    """[n][256]: each half has 32 bytes for its four runs of 32 values."""
    p = b[:, at:at + 64].reshape(-1, 2, 1, 32)
    shift = (2 * np.arange(4, dtype=np.uint8))[:, None]
    return (p >> shift & 3).reshape(-1, 256)


def bits_by_part(b, at):
    """[n][256]: bit i / 32 of byte i % 32."""
    p = b[:, at:at + 32].reshape(-1, 1, 32)
    return (p >> np.arange(8, dtype=np.uint8)[:, None] & 1).reshape(-1, 256)


def parts(b, scale, q, size, least=None):
    """scale and least: [n][256 / size], with d and m in them."""
    q = q.astype(np.float32).reshape(len(b), -1, size)
    y = scale[..., None] * q
    return (y if least is None else y - least[..., None]).reshape(-1)


def unpack_q2_k(raw):
    b = blocks(raw, 84)
    return parts(b, half(b, 80) * (b[:, :16] & 15), pairs(b, 16), 16,
                 half(b, 82) * (b[:, :16] >> 4))


def unpack_q3_k(raw):
    b = blocks(raw, 110)
    p = b[:, 96:108]
    low = np.concatenate((p[:, :8] & 15, p[:, :8] >> 4), 1)
    high = np.concatenate([p[:, 8:] >> 2 * r & 3 for r in range(4)], 1)
    scale = (low | high << 4).astype(np.float32) - 32
    q = (pairs(b, 32) | bits_by_part(b, 0) << 2).astype(np.float32) - 4
    return parts(b, half(b, 108) * scale, q, 16)


def unpack_q5_k(raw):
    b = blocks(raw, 176)
    p = b[:, 4:16]
    scale = np.concatenate((p[:, :4] & 63,
                            p[:, 8:] & 15 | p[:, :4] >> 6 << 4), 1)
    least = np.concatenate((p[:, 4:8] & 63,
                            p[:, 8:] >> 4 | p[:, 4:8] >> 6 << 4), 1)
    n = b[:, 48:].reshape(-1, 4, 1, 32)
    q = np.concatenate((n & 15, n >> 4), 2).reshape(-1, 256)
    return parts(b, half(b, 0) * scale, q | bits_by_part(b, 16) << 4, 32,
                 half(b, 2) * least)


LEVELS = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38,
                   53, 69, 89, 113], np.float32)


def unpack_iq4_nl(raw):
    b = blocks(raw, 18)
    return (half(b, 0) * LEVELS[nibbles(b, 2)]).reshape(-1)


def unpack_iq4_xs(raw):
    b = blocks(raw, 136)
    h = b[:, 2:4].copy().view('<u2').astype(np.uint32)
    low = np.stack((b[:, 4:8] & 15, b[:, 4:8] >> 4), 2).reshape(-1, 8)
    scale = (low | (h >> 2 * np.arange(8, dtype=np.uint32) & 3) << 4)
    n = b[:, 8:].reshape(-1, 8, 16)
    q = LEVELS[np.concatenate((n & 15, n >> 4), 2)]
    return parts(b, half(b, 0) * (scale.astype(np.float32) - 32), q, 32)


SIZES = {3: (32, 20), 6: (32, 22), 7: (32, 24), 10: (256, 84), 11: (256, 110),
         12: (256, 144), 13: (256, 176), 14: (256, 210), 20: (32, 18),
         23: (256, 136)}
UNPACK = {3: unpack_q4_1, 6: unpack_q5_0, 7: unpack_q5_1, 10: unpack_q2_k,
          11: unpack_q3_k, 12: unpack_q4_k, 13: unpack_q5_k, 14: unpack_q6_k,
          20: unpack_iq4_nl, 23: unpack_iq4_xs}

# Where the F16 of a block lie: d, and m or None.
HALVES = {3: (0, 2), 6: (0, None), 7: (0, 2), 10: (80, 82), 11: (108, None),
          13: (0, 2), 20: (0, None), 23: (0, None)}


def any_blocks(kind, x):
    """Random blocks of a type without a writer here, the same for the same x:
    all bits of scales and values, about as large as x and around 0."""
    random = np.random.RandomState(zlib.crc32(x.tobytes()))
    values, size = SIZES[kind]
    raw = random.randint(0, 256, (x.size // values, size)).astype(np.uint8)
    d, m = HALVES[kind]

    def unpacked(factor, least):
        raw[:, d:d + 2] = f16([factor]).view(np.uint8)
        if m is not None:
            raw[:, m:m + 2] = f16([least]).view(np.uint8)
        return UNPACK[kind](raw.tobytes())
    first, second = unpacked(1, 0), unpacked(0, 1)
    ratio = -first.mean() / second.mean() if m is not None else 0
    factor = x.std() / (first + ratio * second).std()
    unpacked(factor, factor * ratio)
    return raw.tobytes()
