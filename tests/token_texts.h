/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts written for the project and their tokens in the vocabulary of
 * clsa-tiny, for check_tokenizer. The tokens come from a plain implementation
 * of its own (the pattern of Qwen2 as published, merging by repeated scans),
 * with U+FFFD for what is not UTF-8.
 */
#ifndef CLSA_TESTS_TOKEN_TEXTS_H
#define CLSA_TESTS_TOKEN_TEXTS_H

#include <stddef.h>
#include <stdint.h>

#include "clsa.h"

struct token_text {
    const char *name;
    const char *text;
    size_t size;
    unsigned flags;
    const int32_t *ids;
    size_t count;
};

#define BYTES(literal) (literal), sizeof(literal) - 1
#define IDS(...)                                                               \
    (const int32_t[]){__VA_ARGS__},                                            \
        sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)

static const struct token_text token_texts[] = {
    {"ascii",
     BYTES("\000\001\002\003\004\005\006\007\010\t\n\013\014\r\016\017"
           "\020\021\022\023\024\025\026\027\030\031\032\033\034\035\036"
           "\037 !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRS"
           "TUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~\177"),
     0,
     IDS(192, 193, 194, 195, 196, 197, 198, 199, 200, 201, 202, 203, 204, 205,
         206, 207, 208, 209, 210, 211, 212, 213, 214, 215, 216, 217, 218, 219,
         220, 221, 222, 223, 224, 826, 6, 7, 8, 9, 10, 11, 12, 13, 14, 3197, 17,
         18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35,
         36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
         7418, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 628, 70,
         1246, 73, 322, 76, 77, 78, 79, 2598, 553, 84, 85, 321, 88, 89, 90, 91,
         92, 93, 94, 95, 96, 97, 225)},
    {"sentence",
     BYTES("The cache is written once; every layer reads the same row"
           "s."),
     0,
     IDS(501, 279, 5806, 351, 2917, 920, 30, 736, 1237, 271, 1134, 86, 264, 809,
         397, 970, 17)},
    {"emoji",
     BYTES("rows \360\237\247\255\360\237\247\255 kept \360\237\232\200"
           "!"),
     0,
     IDS(7232, 224, 176, 257, 104, 259, 176, 257, 104, 259, 1705, 224, 176, 257,
         252, 226, 4)},
    {"combining", BYTES("cafe\314\201 Zoe\314\210 \314\201"), 0,
     IDS(70, 3335, 72, 140, 227, 2618, 2687, 140, 234, 224, 140, 227)},
    {"line ends", BYTES("one\r\ntwo\r\n\r\n  three\n \n\tfour\r"), 0,
     IDS(481, 205, 202, 87, 4633, 205, 202, 205, 202, 224, 994, 202, 1149, 201,
         73, 445, 205)},
    {"contractions",
     BYTES("We'll, you'RE, it'S, I'd, they'Ve, o'clock 'tis '\305\277"
           " a'\305\277b"),
     0,
     IDS(1667, 1012, 15, 342, 10, 1155, 15, 325, 3299, 15, 304, 1522, 15, 411,
         10, 57, 72, 15, 267, 3242, 534, 3958, 534, 133, 127, 262, 10, 133, 127,
         69)},
    {"digits", BYTES("2026-11-23 10:05 x7y42 \331\243\302\275"), 0,
     IDS(21, 19, 21, 25, 16, 20, 20, 16, 21, 22, 224, 20, 19, 29, 19, 24, 224,
         91, 26, 92, 23, 21, 224, 153, 100, 130, 125)},
    {"spaces",
     BYTES("a\341\240\216b \341\240\216 c\302\205\302\240d\342\200\250"
           "e \343\200\200 f"),
     0,
     IDS(68, 161, 258, 240, 69, 7288, 258, 240, 279, 130, 231, 130, 258, 71,
         162, 226, 105, 72, 224, 163, 226, 226, 278)},
    {"runs", BYTES("  lead   mid \n\n  tail   "), 0,
     IDS(224, 1734, 224, 224, 1650, 434, 224, 4076, 224, 224, 224)},
    {"special",
     BYTES("<|im_start|>user\nGo.<|im_end|><|endoftext|>x<|im_start"),
     CLSA_TOKENIZE_SPECIAL,
     IDS(1, 432, 271, 202, 7735, 17, 2, 0, 91, 31, 95, 316, 66, 321, 452)},
    {"special text",
     BYTES("<|im_start|>user\nGo.<|im_end|><|endoftext|>x<|im_start"), 0,
     IDS(31, 95, 316, 66, 321, 452, 95, 33, 432, 271, 202, 7735, 17, 31, 95,
         316, 66, 615, 95, 33, 31, 95, 615, 8081, 72, 1214, 95, 33, 91, 31, 95,
         316, 66, 321, 452)},
    {"invalid", BYTES("ab\377\376 cd\342\202 ef\355\240\200 gh\360\237"), 0,
     IDS(628, 175, 127, 125, 175, 127, 125, 279, 71, 175, 127, 125, 310, 73,
         175, 127, 125, 175, 127, 125, 175, 127, 125, 306, 75, 175, 127, 125)},
    {"long",
     BYTES("tokenisationalinterrelatednessesofunbrokenlettersinonepie"
           "ce"),
     0,
     IDS(1580, 1297, 7909, 340, 7777, 2928, 672, 649, 288, 1332, 476, 69, 350,
         1297, 1942, 1307, 263, 481, 83, 5181)},
};

#define TOKEN_TEXTS (sizeof token_texts / sizeof *token_texts)

#endif /* CLSA_TESTS_TOKEN_TEXTS_H */
