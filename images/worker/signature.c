#include "images/worker/signature.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 1 << 20, STEP = 32 << 20, HASH_SIZE = 64, ID_SIZE = 8, COMMENT_MAX = 8192 };

/* As they lie in base64: nothing is between the fields. */
struct public_key {
	char algorithm[2]; /* "Ed" */
	uint8_t id[ID_SIZE];
	uint8_t key[crypto_sign_PUBLICKEYBYTES];
};

struct signed_hash {
	char algorithm[2]; /* "ED": of the file's hash; "Ed": of the file itself */
	uint8_t id[ID_SIZE];
	uint8_t signature[crypto_sign_BYTES];
};

struct signature {
	struct signed_hash hash;
	const char *comment; /* the trusted one; not ended by a zero */
	size_t comment_size;
	uint8_t global[crypto_sign_BYTES]; /* of the signature and the trusted comment */
};

static bool decode(const char *text, size_t n, void *ret, size_t size)
{
	size_t got = 0;

	return sodium_base642bin(
		       ret, size, text, n, NULL, &got, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       got == size;
}

/* The next line of the text, which must begin with `prefix`; what follows that, without its end. */
static const char *line_after(const char **text, const char *prefix, size_t *ret_size)
{
	const char *line = *text;
	size_t n = strcspn(line, "\n");
	size_t skip = strlen(prefix);

	*text += n + (line[n] == '\n');
	if (n < skip || memcmp(line, prefix, skip) != 0)
		return NULL;
	n -= n > skip && line[n - 1] == '\r';
	*ret_size = n - skip;
	return line + skip;
}

static int signature_read(const char *text, struct signature *ret, struct err *err)
{
	const char *part[4];
	size_t size[4] = { 0 };

	part[0] = line_after(&text, "untrusted comment: ", &size[0]);
	part[1] = line_after(&text, "", &size[1]);
	part[2] = line_after(&text, "trusted comment: ", &size[2]);
	part[3] = line_after(&text, "", &size[3]);
	ret->comment = part[2];
	ret->comment_size = size[2];
	/* No more than that, of the same key, over the whole file, which would have to be in memory. */
	if (part[0] && !part[2] && decode(part[1], size[1], &ret->hash, sizeof ret->hash))
		return err_set(err, EINVAL,
			"that is a signature of signify's, of the file itself and not of its hash: "
			"sign with minisign -S");
	if (!part[0] || !part[2] || size[2] > COMMENT_MAX ||
		!decode(part[1], size[1], &ret->hash, sizeof ret->hash) ||
		!decode(part[3], size[3], ret->global, sizeof ret->global))
		return err_set(err, EINVAL, "that is no signature of minisign's");
	if (memcmp(ret->hash.algorithm, "ED", 2) != 0)
		return err_set(err, EINVAL,
			"a signature of the older form: sign with minisign -S, without -l");
	return 0;
}

/* The key that it says it was made with; its number is no proof of anything. */
static int key_find(const struct signature *signature, char *const *keys, size_t nkeys,
	struct public_key *ret, struct err *err)
{
	for (size_t i = 0; i < nkeys; i++) {
		if (!decode(keys[i], strlen(keys[i]), ret, sizeof *ret) ||
			memcmp(ret->algorithm, "Ed", 2) != 0)
			return err_set(
				err, EINVAL, "\"%.60s\" is no public key of minisign's", keys[i]);
		if (memcmp(ret->id, signature->hash.id, ID_SIZE) == 0)
			return 0;
	}
	return err_set(err, EPERM, "it was signed with a key that is none of UpdateKey=");
}

static int file_hash(int file, uint8_t ret[static HASH_SIZE], struct err *err)
{
	static uint8_t block[BLOCK];
	crypto_generichash_blake2b_state state;
	struct stat st;
	off_t at = 0;
	ssize_t n;

	if (fstat(file, &st) < 0)
		return err_sys(err, errno, "look at the file");
	(void)crypto_generichash_blake2b_init(&state, NULL, 0, HASH_SIZE);
	while ((n = pread(file, block, sizeof block, at)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read the file");
		(void)crypto_generichash_blake2b_update(&state, block, (size_t)n);
		at += n;
		if (at % STEP == 0 &&
			printf("%jd %jd signature\n", (intmax_t)at, (intmax_t)st.st_size) > 0)
			(void)fflush(stdout);
	}
	(void)crypto_generichash_blake2b_final(&state, ret, HASH_SIZE);
	return 0;
}

static bool comment_is_signed(const struct signature *signature, const struct public_key *key)
{
	uint8_t text[crypto_sign_BYTES + COMMENT_MAX];

	memcpy(text, signature->hash.signature, crypto_sign_BYTES);
	memcpy(text + crypto_sign_BYTES, signature->comment, signature->comment_size);
	return crypto_sign_verify_detached(signature->global, text,
		       crypto_sign_BYTES + signature->comment_size, key->key) == 0;
}

int signature_check(int file, const char *text, char *const *keys, size_t nkeys, struct err *err)
{
	struct signature signature = { 0 };
	struct public_key key = { 0 };
	uint8_t hash[HASH_SIZE];
	int r = sodium_init() < 0 ? err_set(err, EIO, "libsodium does not start") : 0;

	if (r == 0)
		r = signature_read(text, &signature, err);
	if (r == 0)
		r = key_find(&signature, keys, nkeys, &key, err);
	if (r == 0)
		r = file_hash(file, hash, err);
	if (r != 0)
		return r;
	if (crypto_sign_verify_detached(signature.hash.signature, hash, sizeof hash, key.key) != 0)
		return err_set(err, EINVAL,
			"the file is not what was signed: it was changed or is damaged");
	if (!comment_is_signed(&signature, &key))
		return err_set(err, EINVAL, "the signature's trusted comment was changed");
	return 0;
}
