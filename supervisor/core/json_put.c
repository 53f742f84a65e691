#include "supervisor/core/json_put.h"

#include "supervisor/base/clock.h"

void json_put_text(json_t *o, const char *key, const char *text)
{
	if (text && *text)
		(void)json_object_set_new(o, key, json_string(text));
}

void json_put_time(json_t *o, const char *key, uint64_t realtime)
{
	if (realtime)
		json_put_text(o, key, clock_rfc3339(realtime).text);
}

void json_put_int(json_t *o, const char *key, uint64_t value)
{
	(void)json_object_set_new(o, key, json_integer((json_int_t)value));
}

void json_put_some(json_t *o, const char *key, uint64_t value)
{
	if (value)
		json_put_int(o, key, value);
}

void json_put_bool(json_t *o, const char *key, bool value)
{
	(void)json_object_set_new(o, key, json_boolean(value));
}
