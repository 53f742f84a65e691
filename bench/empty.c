/* What a program weighs that is linked as berth is and does nothing: bench/run takes it off. */
#include <unistd.h>

int main(void)
{
	for (;;)
		(void)pause();
}
