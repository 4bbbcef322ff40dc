/*
 * A program that leaves its session to a copy of itself, or the other way round:
 * `session_host SERVICE USER HOW`.
 */
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(good) \
	do { \
		if (!(good)) { \
			perror(#good); \
			exit(1); \
		} \
	} while (0)

static int says_nothing(int count, const struct pam_message **messages,
			struct pam_response **answers, void *nothing)
{
	(void)count;
	(void)messages;
	(void)answers;
	(void)nothing;
	return PAM_CONV_ERR;
}

int main(int argc, char **argv)
{
	const struct pam_conv conversation = { says_nothing, NULL };
	pam_handle_t *handle = NULL;
	CHECK(argc == 4);
	int child_closes = strcmp(argv[3], "child closes") == 0;
	int silent = strcmp(argv[3], "child closes, parent is silent") == 0;
	int child_ends = strcmp(argv[3], "child ends") == 0;
	CHECK(child_closes || silent || child_ends);

	CHECK(pam_start(argv[1], argv[2], &conversation, &handle) == PAM_SUCCESS);
	CHECK(pam_open_session(handle, 0) == PAM_SUCCESS);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		if (!child_ends)
			CHECK(pam_close_session(handle, 0) == PAM_SUCCESS);
		CHECK(pam_end(handle, PAM_SUCCESS) == PAM_SUCCESS);
		return 0;
	}
	int status = -1;
	if (silent)
		CHECK(pam_end(handle, PAM_SUCCESS | PAM_DATA_SILENT) == PAM_SUCCESS);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	if (child_ends)
		CHECK(pam_close_session(handle, 0) == PAM_SUCCESS);
	if (!silent)
		CHECK(pam_end(handle, PAM_SUCCESS) == PAM_SUCCESS);
	return 0;
}
