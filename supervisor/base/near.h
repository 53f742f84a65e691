/* How near two words are: for "did you mean". */
#ifndef BERTH_BASE_NEAR_H
#define BERTH_BASE_NEAR_H

enum { NEAR_MAX = 64 };

/*
 * near_distance - the edits that make one word the other; upper and lower case are the same
 *
 * An edit inserts, removes or changes a letter, or swaps two that stand side by side. NEAR_MAX: a word
 * is longer than that.
 */
unsigned near_distance(const char *a, const char *b);

#endif
