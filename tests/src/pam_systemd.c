/*
 * As pam_systemd, so far as a limit of the session goes: it looks for one in the handle
 * and says what it has found.
 */
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stddef.h>
#include <syslog.h>

int pam_sm_open_session(pam_handle_t *handle, int flags, int argc, const char **argv)
{
	const void *limit = NULL;
	(void)flags;
	(void)argc;
	(void)argv;
	if (pam_get_data(handle, "systemd.runtime_max_sec", &limit) != PAM_SUCCESS)
		limit = "infinity";
	pam_syslog(handle, LOG_INFO, "the session may last %s", (const char *)limit);
	return PAM_SUCCESS;
}

int pam_sm_close_session(pam_handle_t *handle, int flags, int argc, const char **argv)
{
	(void)handle;
	(void)flags;
	(void)argc;
	(void)argv;
	return PAM_SUCCESS;
}
