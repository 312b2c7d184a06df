/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queues between the threads of clsa serve: no entry is lost or comes twice
 * if it is put again while the reader goes through what it took.
 */
#include "src/serve/queue.h"
#include "tests/suite.h"

static struct serve_queue queue;
static struct serve_link a, b, c, d;

static void setup(void)
{
    a = b = c = d = (struct serve_link){.next = NULL};
    ck_assert(serve_queue_open(&queue));
    ck_assert(serve_queue_put(&queue, &a));
    ck_assert(serve_queue_put(&queue, &b));
    ck_assert(serve_queue_put(&queue, &c));
}

static void teardown(void)
{
    serve_queue_close(&queue);
}

START_TEST(order)
{
    ck_assert(!serve_queue_put(&queue, &b)); /* it is there */
    struct serve_link *taken = serve_queue_take(&queue);
    ck_assert_ptr_null(serve_queue_take(&queue));
    ck_assert_ptr_eq(serve_queue_next(&queue, &taken), &a);
    ck_assert_ptr_eq(serve_queue_next(&queue, &taken), &b);
    ck_assert_ptr_eq(serve_queue_next(&queue, &taken), &c);
    ck_assert_ptr_null(serve_queue_next(&queue, &taken));
}
END_TEST

START_TEST(put_meanwhile)
{
    struct serve_link *taken = serve_queue_take(&queue);
    ck_assert_ptr_eq(serve_queue_next(&queue, &taken), &a);
    ck_assert(!serve_queue_put(&queue, &b)); /* its turn is still to come */
    ck_assert(serve_queue_put(&queue, &a));
    ck_assert(serve_queue_put(&queue, &d));
    ck_assert_ptr_eq(serve_queue_next(&queue, &taken), &b);
    ck_assert(serve_queue_put(&queue, &b));
    ck_assert_ptr_eq(serve_queue_next(&queue, &taken), &c);
    ck_assert_ptr_null(serve_queue_next(&queue, &taken));
    taken = serve_queue_take(&queue);
    ck_assert_ptr_eq(serve_queue_next(&queue, &taken), &a);
    ck_assert_ptr_eq(serve_queue_next(&queue, &taken), &d);
    ck_assert_ptr_eq(serve_queue_next(&queue, &taken), &b);
    ck_assert_ptr_null(serve_queue_next(&queue, &taken));
    ck_assert_ptr_null(serve_queue_take(&queue));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("queue");
    TCase *tc = tcase_create("queue");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, order);
    tcase_add_test(tc, put_meanwhile);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_NOFORK);
}
