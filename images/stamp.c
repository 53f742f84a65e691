#include "images/stamp.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "images/bundle.h"
#include "supervisor/base/fd.h"
#include "supervisor/base/str.h"

/* -1: the file has no payload, or cannot be looked at. */
static int stamp_text(int file, char *ret, size_t size)
{
	struct strbuf text = { .text = ret, .size = size };
	struct bundle bundle;
	struct stat st;
	char boot[64];

	if (fstat(file, &st) < 0 ||
		file_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof boot) < 0 ||
		bundle_read(file, &bundle, NULL) < 0)
		return -1;
	boot[strcspn(boot, "\n")] = '\0';
	strbuf_add(&text, "%ju %ju %jd %jd.%09ld %s ", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino,
		(intmax_t)st.st_size, (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec, boot);
	for (int i = 0; i < BUNDLE_DIGEST_SIZE; i++)
		strbuf_add(&text, "%02x", bundle.digest[i]);
	bundle_done(&bundle);
	return text.cut ? -1 : 0;
}

bool stamp_holds(int dir, const char *name, int file)
{
	char wanted[320];
	char found[320];

	return stamp_text(file, wanted, sizeof wanted) == 0 &&
	       file_read_at(dir, name, found, sizeof found) >= 0 && strcmp(wanted, found) == 0;
}

void stamp_set(int dir, const char *name, int file)
{
	char text[320];

	if (stamp_text(file, text, sizeof text) == 0)
		(void)file_replace_at(dir, name, text, strlen(text), 0600, 0);
}
