/*
 * An application of PAM that is asked for a line of standard input each:
 *
 *     SERVICE USER CALLER WAY ANSWER     (apart by tabs)
 *
 * CALLER is the real uid; the effective one is root's, as in a setuid program. WAY is
 * `auth` (authenticate, and acct_mgmt if that succeeds) or `key` (acct_mgmt alone, as sshd
 * does after a public key). ANSWER goes to each hidden question; `-` is no answer.
 * A line of standard output for each says
 *
 *     AUTH ACCT DELAY MILLISECONDS
 *
 * with libpam's codes (-1: not asked). `pam_host AT_ONCE [wait]`: so many logins run at
 * once; with `wait` a refusal takes its time, else DELAY says in microseconds what it is.
 */
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(good) \
	do { \
		if (!(good)) { \
			perror(#good); \
			exit(1); \
		} \
	} while (0)

static unsigned delay;

static void note_delay(int code, unsigned micros, void *nothing)
{
	(void)code;
	(void)nothing;
	delay = micros;
}

static int answer(int count, const struct pam_message **messages,
		  struct pam_response **answers, void *text)
{
	int i;

	*answers = calloc((size_t)count, sizeof(**answers));
	CHECK(*answers != NULL);
	for (i = 0; i < count; i++) {
		int style = messages[i]->msg_style;
		if (style != PAM_PROMPT_ECHO_OFF && style != PAM_PROMPT_ECHO_ON)
			continue;
		if (strcmp(text, "-") == 0) {
			free(*answers);
			*answers = NULL;
			return PAM_CONV_ERR;
		}
		(*answers)[i].resp = strdup(text);
	}
	return PAM_SUCCESS;
}

static long millis(void)
{
	struct timespec now;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One login, told in one line. */
static void log_in(char *line, int waits, int out)
{
	char *service = strsep(&line, "\t"), *user = strsep(&line, "\t");
	char *caller = strsep(&line, "\t"), *way = strsep(&line, "\t");
	const struct pam_conv conversation = { answer, line };
	pam_handle_t *handle = NULL;
	int auth = -1, acct = -1;
	long start = millis();

	CHECK(line != NULL);
	CHECK(setresuid((uid_t)atoi(caller), 0, 0) == 0);
	CHECK(pam_start(service, user, &conversation, &handle) == PAM_SUCCESS);
	CHECK(pam_set_item(handle, PAM_RHOST, "192.0.2.7") == PAM_SUCCESS);
	CHECK(pam_set_item(handle, PAM_TTY, "ssh") == PAM_SUCCESS);
	if (!waits)
		CHECK(pam_set_item(handle, PAM_FAIL_DELAY, (void *)note_delay) == PAM_SUCCESS);
	if (strcmp(way, "auth") == 0)
		auth = pam_authenticate(handle, 0);
	if (auth == PAM_SUCCESS || strcmp(way, "key") == 0)
		acct = pam_acct_mgmt(handle, 0);
	pam_end(handle, acct);
	dprintf(out, "%d %d %u %ld\n", auth, acct, delay, millis() - start);
	_exit(0);
}

/* Copies what a login said to standard output. */
static void tell(int in)
{
	char text[128];
	ssize_t length = read(in, text, sizeof(text));

	CHECK(length > 0);
	fwrite(text, 1, (size_t)length, stdout);
	close(in);
}

int main(int argc, char **argv)
{
	int at_once = argc > 1 ? atoi(argv[1]) : 1;
	int waits = argc > 2 && strcmp(argv[2], "wait") == 0;
	int *running = calloc((size_t)at_once, sizeof(*running));
	char *line = NULL;
	size_t room = 0;
	int started = 0, told = 0;

	CHECK(running != NULL);
	while (getline(&line, &room, stdin) > 0) {
		int ends[2];

		line[strcspn(line, "\n")] = 0;
		if (started - told == at_once)
			tell(running[told++ % at_once]);
		CHECK(pipe(ends) == 0);
		fflush(stdout);
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0)
			log_in(line, waits, ends[1]);
		close(ends[1]);
		running[started++ % at_once] = ends[0];
	}
	while (told < started)
		tell(running[told++ % at_once]);
	while (wait(NULL) > 0)
		;
	return 0;
}
