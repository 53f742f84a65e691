/* Signals: their names, as StopSignal=, `berth kill -s` and the messages use them; and all of them back
 * to default. */
#ifndef BERTH_BASE_SIGNALS_H
#define BERTH_BASE_SIGNALS_H

/*
 * signal_from_name - "SIGTERM", "term", "15", "SIGRTMIN+3", "RTMAX-1", in any case
 *
 * Gives: the number (1 to 64), or -EINVAL. The real-time numbers are the kernel's as libc shows
 *        them: SIGRTMIN is 34.
 */
int signal_from_name(const char *name);

/* signal_name - "SIGTERM", "SIGRTMIN+3"; NULL for a number that is no signal. */
const char *signal_name(int number);

/*
 * signals_default - what is ignored is so no more; handlers stay
 *
 * Who starts us may have set signals to be ignored, and SIG_IGN goes through exec (signal(7)): to a
 * container, too. 32 and 33 are among them, which libc keeps for itself and refuses to touch.
 */
void signals_default(void);

#endif
