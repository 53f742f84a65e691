/*
 * THE key table: every key that berth knows, served or not. The parser, `berth check`, did-you-mean
 * and the manual page are printed from it. keys*.c need nothing but libc, so that the tool that
 * prints the manual can be built for the build machine.
 */
#ifndef BERTH_CONFIG_KEYS_H
#define BERTH_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/draft.h"

enum key_class {
	KEY_SERVED,
	KEY_INERT,   /* accepted; help is the note that says what it means here */
	KEY_ONLY,    /* inert for the values in `words`, refused for every other */
	KEY_SELINUX, /* inert where SELinux is not enabled, else refused */
	KEY_REFUSED, /* an error; help is the reason and what to write instead */
};

/* How the value is read; each goes with one type of struct draft_* (FIELD_… in keys.c). */
enum key_type {
	TYPE_str,
	TYPE_name,  /* a str that name_valid() takes */
	TYPE_lines, /* a list, one item per assignment */
	TYPE_words, /* a list, any number of words per assignment */
	TYPE_env,   /* words "KEY=value" or "KEY" */
	TYPE_pairs, /* words "KEY=value" */
	TYPE_argv,  /* a command line */
	TYPE_entry, /* a JSON array of strings, or one word */
	TYPE_shell, /* a JSON array, or a text for /bin/sh -c */
	TYPE_flag,  /* yes or no */
	TYPE_bytes,
	TYPE_time,
	TYPE_timeout,  /* a time; 0 is infinity */
	TYPE_interval, /* a time; "disable" is infinity */
	TYPE_signal,
	TYPE_tasks,
	TYPE_number,
	TYPE_integer,
	TYPE_quota,
	TYPE_caps,
	TYPE_exits,
	TYPE_choice,
	TYPE_rlimit,  /* SOFT:HARD; the resource is `min` */
	TYPE_ulimits, /* NAME=SOFT:HARD */
};

struct key_word {
	const char *word; /* NULL ends the list */
	int value;
};

struct key {
	const char *section;
	const char *name;
	const char *help;
	const struct key_word *words; /* TYPE_choice, KEY_ONLY */
	size_t offset;    /* in struct unit_draft; of [Supervisor] in struct conf_draft */
	int64_t min, max; /* TYPE_number, TYPE_integer */
	enum key_class class;
	enum key_type type;
	unsigned kinds; /* of units, as KIND() bits; 0: every kind its section is for */
};

/* How the help of a refused key begins. */
#define KEY_NOT_SERVED "not served: "

#define KIND(kind) (1U << (kind))

/* [Supervisor] as berth.conf says it. */
struct conf_draft {
	struct draft_str state_dir, run_dir, log_dir, store_dir;
	struct draft_choice log_level;
	struct draft_bytes image_memory;
	struct draft_list image_path, bundle_path, registry_mirrors; /* words, split at ":" later */
	struct draft_list uplinks;                                   /* "LINK WORD…" each */
	struct draft_list update_keys;
	struct draft_choice default_restart;
	struct draft_choice default_capabilities; /* 1: none */
	struct draft_choice verify;               /* enum root_verify */
	struct draft_choice publish_mode;         /* enum publish_mode */
	struct draft_time watchdog, shutdown_max;
};

/* A section: for which units, or why not. */
struct key_section {
	const char *name;
	unsigned kinds;     /* 0: for none */
	bool conf;          /* of berth.conf */
	const char *refuse; /* what to do instead, when kinds is 0 */
	const char *help;
};

extern const struct key keys_served[];
extern const size_t keys_served_count;
extern const struct key keys_unserved[]; /* inert and refused ones */
extern const size_t keys_unserved_count;
extern const struct key_section key_sections[];
extern const size_t key_sections_count;
extern const struct key_word log_level_words[];

const struct key_section *section_find(const char *name);
const struct key *key_find(const char *section, const char *name);

/* The nearest name, or NULL when nothing is near: at most one typing error in three letters. */
const char *section_suggest(const char *name);
const struct key *key_suggest(const char *section, const char *name);

/* A section of a unit of that kind that has exactly this key, other than `section`; or NULL. */
const struct key *key_elsewhere(const char *section, const char *name, enum unit_kind kind);

#endif
