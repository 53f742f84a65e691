#include "supervisor/base/near.h"

#include <string.h>

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

unsigned near_distance(const char *a, const char *b)
{
	unsigned rows[3][NEAR_MAX + 1];
	size_t na = strlen(a);
	size_t nb = strlen(b);

	if (na > NEAR_MAX || nb > NEAR_MAX)
		return NEAR_MAX;
	for (size_t k = 0; k <= nb; k++)
		rows[0][k] = (unsigned)k;
	for (size_t i = 1; i <= na; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i + 2) % 3];
		const unsigned *above2 = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t k = 1; k <= nb; k++) {
			char x = lower(a[i - 1]);
			char y = lower(b[k - 1]);

			row[k] = min3(above[k] + 1, row[k - 1] + 1, above[k - 1] + (x != y));
			if (i > 1 && k > 1 && x == lower(b[k - 2]) && y == lower(a[i - 2]) &&
				above2[k - 2] + 1 < row[k])
				row[k] = above2[k - 2] + 1;
		}
	}
	return rows[na % 3][nb];
}
