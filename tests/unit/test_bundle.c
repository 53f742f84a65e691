/* Reading the index of an appliance file: every number of it wrong, one after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "images/bundle.h"

enum { ROWS = 2, INDEX = 2 * BUNDLE_ALIGN, NAMES = 8 };
#define INDEX_SIZE ((size_t)BUNDLE_HEAD_SIZE + (size_t)ROWS * BUNDLE_ROW_SIZE + NAMES)

/* program, one page of payload, index with the names "one" and "two", footer. */
struct file {
	uint8_t bytes[INDEX + BUNDLE_HEAD_SIZE + ROWS * BUNDLE_ROW_SIZE + NAMES +
		      BUNDLE_FOOTER_SIZE];
};

static void number(uint8_t *to, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static uint8_t *row(struct file *file, int i)
{
	return file->bytes + INDEX + BUNDLE_HEAD_SIZE + (size_t)i * BUNDLE_ROW_SIZE;
}

static uint8_t *footer(struct file *file)
{
	return file->bytes + sizeof file->bytes - BUNDLE_FOOTER_SIZE;
}

static void file_make(struct file *file)
{
	memset(file, 0, sizeof *file);
	number(file->bytes + INDEX, ROWS, 4);
	number(file->bytes + INDEX + 4, NAMES, 4);
	for (int i = 0; i < ROWS; i++) {
		number(row(file, i), BUNDLE_CONFIG, 4);
		number(row(file, i) + 4, 4U * (unsigned)i, 4);
		number(row(file, i) + 8, BUNDLE_ALIGN, 8);
		number(row(file, i) + 16, 100, 8);
	}
	memcpy(row(file, ROWS), "one\0two", NAMES);
	memcpy(footer(file), BUNDLE_MAGIC, sizeof BUNDLE_MAGIC);
	number(footer(file) + 8, INDEX, 8);
	number(footer(file) + 16, INDEX_SIZE, 8);
}

static int file_read(const struct file *file, size_t size, struct bundle *ret)
{
	int fd = memfd_create("bundle", MFD_CLOEXEC);
	struct err err = { 0 };
	int r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, file->bytes, size), (ssize_t)size);
	r = bundle_read(fd, ret, &err);
	assert_int_equal(r < 0, err.text[0] != '\0');
	(void)close(fd);
	return r;
}

static void test_good(void **state)
{
	const struct bundle_entry *entry;
	struct bundle bundle;
	struct file file;

	(void)state;
	file_make(&file);
	assert_int_equal(file_read(&file, sizeof file, &bundle), 0);
	assert_int_equal(bundle.n, ROWS);
	assert_int_equal(bundle.program_length, BUNDLE_ALIGN);
	entry = bundle_find(&bundle, BUNDLE_CONFIG, "two");
	assert_non_null(entry);
	assert_int_equal(entry->offset, BUNDLE_ALIGN);
	assert_int_equal(entry->length, 100);
	assert_null(bundle_find(&bundle, BUNDLE_IMAGE, "two"));
	bundle_done(&bundle);
}

static void test_none(void **state)
{
	struct bundle bundle;
	struct file file;

	(void)state;
	file_make(&file);
	for (size_t size = 0; size < sizeof file; size += 61)
		assert_int_equal(file_read(&file, size, &bundle), -ENODATA);
	*footer(&file) ^= 1;
	assert_int_equal(file_read(&file, sizeof file, &bundle), -ENODATA);
}

static void test_broken(void **state)
{
	/* Where from the index's or the footer's (-) beginning, and what is put there. */
	static const struct {
		int row, offset, bytes;
		uint64_t value;
	} rows[] = {
		{ -1, 8, 8, 0 },
		{ -1, 8, 8, INDEX + 1 },
		{ -1, 8, 8, UINT64_MAX },
		{ -1, 16, 8, 0 },
		{ -1, 16, 8, UINT64_MAX },
		{ -1, 16, 8, INDEX_SIZE - 1 },
		{ -1, 56, 8, 1 },
		{ 0, 0, 4, BUNDLE_KIND_COUNT },
		{ 0, 0, 4, UINT32_MAX },
		{ 0, 4, 4, 4 }, /* the other's name */
		{ 0, 4, 4, 3 }, /* an empty one */
		{ 0, 4, 4, NAMES },
		{ 0, 4, 4, UINT32_MAX },
		{ 0, 8, 8, 1 },
		{ 0, 8, 8, INDEX + BUNDLE_ALIGN },
		{ 0, 8, 8, UINT64_MAX - BUNDLE_ALIGN + 1 },
		{ 1, 16, 8, BUNDLE_ALIGN + 1 },
		{ 1, 16, 8, UINT64_MAX },
	};
	struct bundle bundle;
	struct file file;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		file_make(&file);
		number((rows[i].row < 0 ? footer(&file) : row(&file, rows[i].row)) + rows[i].offset,
			rows[i].value, rows[i].bytes);
		assert_int_equal(file_read(&file, sizeof file, &bundle), -EINVAL);
	}
	for (uint32_t n = 0; n < 8; n++) {
		file_make(&file);
		number(file.bytes + INDEX, n == ROWS ? UINT32_MAX : n, 4);
		assert_int_equal(file_read(&file, sizeof file, &bundle), -EINVAL);
	}
	/* The last name has no end. */
	file_make(&file);
	row(&file, ROWS)[NAMES - 1] = 'x';
	assert_int_equal(file_read(&file, sizeof file, &bundle), -EINVAL);
}

static void test_names(void **state)
{
	static const char *const good[] = { "a", "web.container", "localhost/web:latest",
		"a.b/...c" };
	static const char *const bad[] = { "", ".", "..", "/a", "a/", "a//b", "a/../b", "../a",
		"a/..", "a b", "a\nb", "a\x7f" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(bundle_name_check(good[i]), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(bundle_name_check(bad[i]), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
