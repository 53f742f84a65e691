/* How a registry asks who is there: the header WWW-Authenticate (RFC 9110, 11.6.1). */
#ifndef BERTH_IMAGES_FETCH_CHALLENGE_H
#define BERTH_IMAGES_FETCH_CHALLENGE_H

enum challenge_kind { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
	enum challenge_kind kind;
	char realm[512]; /* of a bearer: where tokens are given */
	char service[256];
	char scope[512];
};

/*
 * challenge_read - take the value of one header into *ret
 *
 * A header may hold several, and there may be several headers: a bearer wins over basic. What is of
 * another kind, too long, or broken, changes nothing.
 */
void challenge_read(const char *text, struct challenge *ret);

#endif
