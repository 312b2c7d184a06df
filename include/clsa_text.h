/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clsa_text: text as the makers of a model read and write it: tokenizer and
 * chat template. A part of clsa.h, which includes it and has the conventions.
 */
#ifndef CLSA_TEXT_H
#define CLSA_TEXT_H

#include "clsa.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --------------------------------------------------------------- tokenizer */

/** What a vocabulary says about itself, after defaults. */
typedef struct clsa_vocab_info {
    const char *model;         /**< tokenizer.ggml.model: "gpt2", "llama" or
                                    "gemma4" */
    const char *pre;           /**< tokenizer.ggml.pre, or "" */
    uint32_t tokens;           /**< number of tokens */
    int32_t bos, eos, unknown; /**< token ids, -1: none */
    int add_bos;               /**< 1: CLSA_TOKENIZE_BOS adds bos */
    int add_eos;               /**< 1: CLSA_TOKENIZE_EOS adds eos */
    int add_space_prefix;      /**< 1: a space is put before texts */
    int ignore_merges;         /**< 1: a word that is a token is not merged */
    int nfc;                   /**< 1: texts are normalized to NFC */
} clsa_vocab_info;

/** @param size  sizeof *info
    @return CLSA_ERR_ARGUMENT if it is too small, CLSA_ERR_UNSUPPORTED if the
            model has no tokenizer */
CLSA_API clsa_status clsa_model_vocab_info(const clsa_model *model,
                                           clsa_vocab_info *info, size_t size,
                                           clsa_error *error);

/** Control and unknown tokens ("<|im_start|>") in the text are cut out as such;
    user-defined ones always are. */
#define CLSA_TOKENIZE_SPECIAL 1u
/** Put the bos token in front if the model asks for it (add_bos). */
#define CLSA_TOKENIZE_BOS 2u
/** Put the eos token at the end if the model asks for it (add_eos). */
#define CLSA_TOKENIZE_EOS 4u

/** Cut a text into tokens, as the makers of the model do.
    @param text      `size` bytes; a U+FFFD is read for each byte, and each
                     start of a character, that is not UTF-8
    @param flags     CLSA_TOKENIZE_*
    @param ids       receives the ids; to be released by clsa_free
    @param count     receives their number
    @return CLSA_ERR_MEMORY, CLSA_ERR_ARGUMENT for a text of 2 GiB or more, or
            CLSA_ERR_UNSUPPORTED if the model has no tokenizer. A byte for which
            the vocabulary has no token is left out */
CLSA_API clsa_status clsa_tokenize(const clsa_model *model, const char *text,
                                   size_t size, unsigned flags, int32_t **ids,
                                   size_t *count, clsa_error *error);

/** A token and the offset in bytes at which it begins in the text. It ends
    where the next one begins, the last one at the end of the text; bos has no
    bytes. Tokens of a part of the text that was normalized begin with it. */
typedef struct clsa_token_place {
    int32_t id;
    size_t start;
} clsa_token_place;

/** clsa_tokenize, and where in the text each token begins.
    @param places    receives the tokens, [count], starts ascending; to be
                     released by clsa_free */
CLSA_API clsa_status clsa_tokenize_places(const clsa_model *model,
                                          const char *text, size_t size,
                                          unsigned flags,
                                          clsa_token_place **places,
                                          size_t *count, clsa_error *error);

/** Release memory that a function of this library gave out. */
CLSA_API void clsa_free(void *memory);

/** The bytes that a token adds to a text, not always whole UTF-8 characters;
    none for a token of type unused.
    @param size  receives their number
    @return NULL if the model has no such token */
CLSA_API const char *clsa_token_bytes(const clsa_model *model, int32_t id,
                                      size_t *size);

/** 1 if `id` is a control token such as end of text, else 0. */
CLSA_API int clsa_token_is_special(const clsa_model *model, int32_t id);

/** The token that a text is as a whole, special tokens first; for example
    "<|im_end|>".
    @param text  NUL-terminated
    @return CLSA_ERR_ARGUMENT if there is no such token, CLSA_ERR_UNSUPPORTED
            if the model has no tokenizer */
CLSA_API clsa_status clsa_token_id(const clsa_model *model, const char *text,
                                   int32_t *id);

/** The tokens that end a generation: `eos` of clsa_model_info, if there is one,
    and others that the file names as ends of a turn or message.
    @param ids    receives the list, valid as long as the model
    @param count  receives their number, which may be 0 */
CLSA_API void clsa_model_eog(const clsa_model *model, const int32_t **ids,
                             size_t *count);

/** State of a streaming detokenizer; all zero at the start of an answer. A
    space before its first word stays: the answer goes on from a prompt. */
typedef struct clsa_detokenizer {
    uint32_t count;    /**< bytes of an unfinished character, to be read only */
    uint32_t state[7]; /**< of the library */
} clsa_detokenizer;

/** Add a token to a stream of text and take out the complete characters. Never
    gives half a UTF-8 character; bytes that cannot become valid UTF-8 come out
   as U+FFFD.
    @param state     {0} at the start
    @param id        the token; -1 flushes at the end of the text
    @param text      receives the text, NUL-terminated; to be released by
                     clsa_free
    @param size      receives its size without the NUL; may be NULL */
CLSA_API clsa_status clsa_detokenize(const clsa_model *model,
                                     clsa_detokenizer *state, int32_t id,
                                     char **text, size_t *size,
                                     clsa_error *error);

/** The text of a list of tokens from its start on: their bytes in turn, as they
    are, without the space that clsa_tokenize puts before a text.
    @param bytes     receives the text and a NUL; to be released by clsa_free;
                     not always valid UTF-8
    @param size      receives its size without the NUL
    @return CLSA_ERR_ARGUMENT for an id that is no token, CLSA_ERR_MEMORY or
            CLSA_ERR_UNSUPPORTED */
CLSA_API clsa_status clsa_detokenize_all(const clsa_model *model,
                                         const int32_t *ids, size_t count,
                                         char **bytes, size_t *size,
                                         clsa_error *error);

/* ----------------------------------------------------------- chat template */

/** A chat template: a program in Jinja that writes the messages of a chat as
    the text that a model was trained with. It is parsed once and never changes:
    any number of threads may render it at the same time. */
typedef struct clsa_chat_template clsa_chat_template;

/** Parse a chat template. What chat templates use of Jinja is known, with the
    extensions of the transformers library; what is not known is refused by
    name.
    @param chat_template  receives the handle, to be closed by
                          clsa_chat_template_close
    @param text           `size` bytes, at most 1 MiB
    @return CLSA_ERR_FORMAT, CLSA_ERR_UNSUPPORTED or CLSA_ERR_MEMORY; the
            message names the line */
CLSA_API clsa_status clsa_chat_template_open(clsa_chat_template **chat_template,
                                             const char *text, size_t size,
                                             clsa_error *error);
CLSA_API void clsa_chat_template_close(clsa_chat_template *chat_template);

/** The chat template of a model's file, parsed when the model was opened, with
    the model's bos and eos tokens.
    @param chat_template  receives it; it belongs to the model
    @return CLSA_ERR_UNSUPPORTED if the file has none, or what parsing it failed
            with: such a model is of use for anything else */
CLSA_API clsa_status clsa_model_chat_template(
    const clsa_model *model, const clsa_chat_template **chat_template,
    clsa_error *error);

/** Write messages as the text that the model reads. It has the bos token if the
    template writes it: tokenize it with CLSA_TOKENIZE_SPECIAL alone.

    The request is a JSON object, or the list of messages alone: "messages", a
   list of objects; "tools" and "documents", lists, or null or absent;
   "options", an object of variables of the template ("add_generation_prompt",
   "enable_thinking", ...); "now", the local time that the template sees,
   "2025-03-14T15:09:26" (absent: the clock's); "bos_token" and "eos_token",
   texts in place of the model's, or null for none. With the option
   "continue_final_message" true the text ends with the last message's content,
   or with the field that it names. Other keys are refused.
   clsa-chat-template(1) describes the variables.

    A template reaches nothing but the request. It may evaluate 100 million
    steps, and take 256 MiB of memory and 64 MiB of text.
    @param request    `size` bytes
    @param text       receives the text, NUL-terminated; to be released by
                      clsa_free
    @param text_size  receives its size without the NUL; may be NULL
    @return CLSA_ERR_ARGUMENT if the request is malformed, the template refuses
            it (the message has its words) or cannot take a value of it;
            CLSA_ERR_UNSUPPORTED past a limit, or CLSA_ERR_MEMORY */
CLSA_API clsa_status clsa_chat_template_render(
    const clsa_chat_template *chat_template, const char *request, size_t size,
    char **text, size_t *text_size, clsa_error *error);

#ifdef __cplusplus
}
#endif

#endif /* CLSA_TEXT_H */
