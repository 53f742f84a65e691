/* The one error type. It has no heap, so it is legal after fork, out of memory and in PID 1, and
 * the bytes on the stack are the bytes on the wire between a container's child and its parent. */
#ifndef BERTH_BASE_ERR_H
#define BERTH_BASE_ERR_H

#include <stdint.h>

enum { ERR_TEXT_SIZE = 500 };

struct err {
	int32_t code;  /* a positive errno value; 0 means no error */
	int32_t stage; /* which step failed, in the vocabulary of the floor that set it; 0: none */
	char text[ERR_TEXT_SIZE];
};

/*
 * err_set - record a failure
 *
 * Gives: the text (cut at ERR_TEXT_SIZE - 1 bytes) and the code in *err (err may be NULL), and
 *        -code, so that a failing function can say `return err_set(err, errno, "open %s", path)`.
 *        The text of strerror(code) is not added: err_sys does that.
 */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* err_sys - err_set, with ": " and the words of errno value `code` added to the text. */
int err_sys(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * err_wrap - put one floor's part of the sentence before what is there
 *
 * Gives: "PREFIX: OLD TEXT" in *err and -err->code, so that it can be returned. The code stays.
 */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* err_keep - in teardown: keep the first failure. Copies `next` to `first` if `first` is empty. */
void err_keep(struct err *first, const struct err *next);

#endif
