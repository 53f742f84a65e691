#include "images/worker/json.h"

#include <errno.h>
#include <stdio.h>

/* jansson itself would follow 2048 levels by recursion. */
static bool too_deep(const char *text, size_t n)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < n; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!quoted && (text[i] == '}' || text[i] == ']'))
			depth--;
		if (depth > JSON_NESTING_MAX)
			return true;
	}
	return false;
}

int json_read(const char *text, size_t n, json_t **ret, struct err *err)
{
	json_error_t why;
	json_t *json;

	if (n > JSON_SIZE_MAX)
		return err_set(err, EFBIG, "larger than %d MiB", JSON_SIZE_MAX >> 20);
	if (too_deep(text, n))
		return err_set(err, EINVAL, "more than %d levels deep", JSON_NESTING_MAX);
	json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	if (!json && !*why.text)
		return err_set(err, ENOMEM, "it takes more memory than there is for a document");
	if (!json)
		return err_set(err, EINVAL, "line %d: %s", why.line, why.text);
	*ret = json;
	return 0;
}

const char *json_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

const json_t *json_member(const json_t *object, const char *key)
{
	const json_t *member = json_object_get(object, key);

	return json_is_object(member) || json_is_array(member) ? member : NULL;
}

int json_size(const json_t *object, const char *key, uint64_t *ret)
{
	const json_t *member = json_object_get(object, key);

	if (!json_is_integer(member) || json_integer_value(member) < 0)
		return -EINVAL;
	*ret = (uint64_t)json_integer_value(member);
	return 0;
}

bool json_platform(const json_t *object, struct platform *ret)
{
	const char *os = json_text(object, "os");
	const char *arch = json_text(object, "architecture");
	const char *variant = json_text(object, "variant");

	*ret = (struct platform){ .os = "" };
	if (!os || !arch)
		return false;
	(void)snprintf(ret->os, sizeof ret->os, "%s", os);
	(void)snprintf(ret->arch, sizeof ret->arch, "%s", arch);
	(void)snprintf(ret->variant, sizeof ret->variant, "%s", variant ? variant : "");
	return true;
}
