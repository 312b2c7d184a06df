/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choose: which layers choose rows for the others, by what each of them would
 * find for each other one. The first site is given; a site is there for the
 * layers from itself up to the next site.
 */
#ifndef CLSA_TRAIN_CHOOSE_H
#define CLSA_TRAIN_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clsa_sites {
    uint32_t layers;    /* L */
    uint32_t first;     /* the first site */
    const bool *able;   /* [L] layers that may be sites; `first` is one */
    const double *gain; /* [L][L] what site a finds for layer b, at [a][b] */
};

/*
 * The `most` best lists of `sites` layers, lists [most][sites], the best one
 * first; of two with the same sum, the one whose sites come earlier. Returns
 * their number: 0 if there are fewer layers, or no memory.
 */
size_t clsa_sites_choose(const struct clsa_sites *choice, uint32_t sites,
                         size_t most, uint32_t *lists);

/* The sum of what the sites of a list find. */
double clsa_sites_value(const struct clsa_sites *choice, const uint32_t *list,
                        size_t sites);

#endif /* CLSA_TRAIN_CHOOSE_H */
