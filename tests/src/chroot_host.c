/*
 * A file server that locks itself into a folder of its user's and ends the session from
 * there, with root's rights, as some do: `chroot_host SERVICE USER FOLDER`.
 */
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
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
	CHECK(pam_start(argv[1], argv[2], &conversation, &handle) == PAM_SUCCESS);
	CHECK(pam_open_session(handle, 0) == PAM_SUCCESS);
	CHECK(chroot(argv[3]) == 0 && chdir("/") == 0);
	int closed = pam_close_session(handle, 0);
	pam_end(handle, closed);
	printf("closed: %d\n", closed);
	return 0;
}
