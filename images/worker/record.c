#include "images/worker/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/own.h"

void record_init(struct record *record, const struct record *below,
	const uint8_t diff_id[SHA256_DIGEST_SIZE])
{
	char text[2 * (sizeof "sha256:" + DIGEST_HEX)];
	char hex[DIGEST_HEX + 1];
	struct sha256_ctx sha;
	int n;

	*record = (struct record){ .chain = "" };
	memcpy(record->diff_id, diff_id, sizeof record->diff_id);
	memcpy(record->chain_id, diff_id, sizeof record->chain_id);
	if (below) {
		digest_hex(below->chain_id, hex);
		n = snprintf(text, sizeof text, "sha256:%s sha256:", hex);
		digest_hex(diff_id, text + n);
		sha256_init(&sha);
		sha256_update(&sha, strlen(text), (const uint8_t *)text);
		sha256_digest(&sha, sizeof record->chain_id, record->chain_id);
	}
	digest_hex(record->chain_id, hex);
	memcpy(record->chain, hex, RECORD_CHAIN);
}

size_t record_text(const struct record *record, char ret[static RECORD_TEXT])
{
	char diff_id[DIGEST_HEX + 1];
	char tree[DIGEST_HEX + 1];

	digest_hex(record->diff_id, diff_id);
	digest_hex(record->tree.digest, tree);
	return (size_t)snprintf(ret, RECORD_TEXT,
		"%s sha256:%s %" PRIu64 " %" PRIu64 " sha256:%s\n", record->chain, diff_id,
		record->tree.bytes, record->tree.entries, tree);
}

/* Looks for the layer's line in one image's file. */
static int find_in(int images, const char *image, struct record *record)
{
	own_fd dir = openat(images, image, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	own_fd fd = dir < 0 ? -1 : openat(dir, "layers", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "re");
	char line[2 * RECORD_TEXT];
	int r = -ENOENT;

	if (!file)
		return r;
	(void)fd_take(&fd);
	while (r < 0 && fgets(line, sizeof line, file)) {
		char tree[80];
		uint64_t bytes, entries;

		if (strncmp(line, record->chain, RECORD_CHAIN) != 0 || line[RECORD_CHAIN] != ' ')
			continue;
		if (sscanf(line, "%*s %*s %" SCNu64 " %" SCNu64 " %79s", &bytes, &entries, tree) !=
				3 ||
			digest_parse(tree, record->tree.digest) < 0)
			continue;
		record->tree.bytes = bytes;
		record->tree.entries = entries;
		r = 0;
	}
	(void)fclose(file);
	return r;
}

int record_find(int images, struct record *record)
{
	int fd = images < 0 ? -1 : openat(images, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *names = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int r = -ENOENT;

	if (!names) {
		fd_close(&fd);
		return -ENOENT;
	}
	while (r < 0 && (entry = readdir(names)))
		if (entry->d_name[0] != '.')
			r = find_in(images, entry->d_name, record);
	(void)closedir(names);
	return r;
}
