/* Members of the JSON objects that the control socket and the verbs give. Memory that runs out is
 * seen when the object is sent: a member is missing. */
#ifndef BERTH_CORE_JSON_PUT_H
#define BERTH_CORE_JSON_PUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* These two leave out what is empty or never was. */
void json_put_text(json_t *o, const char *key, const char *text);
void json_put_some(json_t *o, const char *key, uint64_t value);
/* RFC 3339, of nanoseconds since 1970; 0 is left out. */
void json_put_time(json_t *o, const char *key, uint64_t realtime);
void json_put_int(json_t *o, const char *key, uint64_t value);
void json_put_bool(json_t *o, const char *key, bool value);

#endif
