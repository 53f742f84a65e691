#include "images/inuse.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "supervisor/base/own.h"

/* The namespaces that were read already: their processes share one table. */
struct seen {
	ino_t *v;
	size_t n;
};

/* False when there is no memory to remember it: then the table is read once more. */
static bool seen_before(struct seen *seen, ino_t space)
{
	ino_t *more;

	for (size_t i = 0; i < seen->n; i++)
		if (seen->v[i] == space)
			return true;
	more = realloc(seen->v, (seen->n + 1) * sizeof *more);
	if (more) {
		seen->v = more;
		seen->v[seen->n++] = space;
	}
	return false;
}

/* A process that is gone meanwhile has nothing mounted. */
static void table_copy(const char *pid, struct seen *seen, FILE *to)
{
	own_mem char *line = NULL;
	struct stat st;
	char path[64];
	size_t size = 0;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%.16s/ns/mnt", pid);
	if (stat(path, &st) == 0 && seen_before(seen, st.st_ino))
		return;
	(void)snprintf(path, sizeof path, "/proc/%.16s/mountinfo", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	while (getline(&line, &size, file) > 0)
		(void)fputs(line, to);
	(void)fclose(file);
}

void inuse_read(struct inuse *ret)
{
	struct seen seen = { 0 };
	struct inuse inuse = { 0 };
	DIR *proc = opendir("/proc");
	FILE *to = open_memstream(&inuse.text, &inuse.size);
	struct dirent *entry;
	bool whole = proc && to;

	while (whole && (entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			table_copy(entry->d_name, &seen, to);
	whole = whole && !ferror(to);
	if (to && fclose(to) != 0)
		whole = false;
	if (proc)
		(void)closedir(proc);
	free(seen.v);
	/* Our own is always there. */
	if (whole && inuse.size)
		*ret = inuse;
	else
		free(inuse.text);
}

bool inuse_has(const struct inuse *inuse, const char *word)
{
	return !inuse->text || strstr(inuse->text, word);
}

void inuse_done(struct inuse *inuse)
{
	free(inuse->text);
	*inuse = (struct inuse){ 0 };
}
