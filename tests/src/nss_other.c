/*
 * Another name service of a host, with one user and one group: `dora`, uid 5000, and
 * `elves`, gid 2010000021. Uid 2010000020 is another name of dora's.
 */
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <string.h>
#include <sys/types.h>

#define DORA 5000
#define DORAS 2010000020
#define ELVES 2010000021

static enum nss_status person(uid_t uid, struct passwd *found)
{
	*found = (struct passwd){ .pw_name = "dora",
				  .pw_passwd = "*",
				  .pw_uid = uid,
				  .pw_gid = 100,
				  .pw_gecos = "",
				  .pw_dir = "/",
				  .pw_shell = "/bin/sh" };
	return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_other_getpwnam_r(const char *name, struct passwd *found, char *buffer,
				      size_t length, int *errnop)
{
	(void)buffer;
	(void)length;
	*errnop = ENOENT;
	return strcmp(name, "dora") ? NSS_STATUS_NOTFOUND : person(DORA, found);
}

enum nss_status _nss_other_getpwuid_r(uid_t uid, struct passwd *found, char *buffer,
				      size_t length, int *errnop)
{
	(void)buffer;
	(void)length;
	*errnop = ENOENT;
	return uid != DORA && uid != DORAS ? NSS_STATUS_NOTFOUND : person(uid, found);
}

enum nss_status _nss_other_getgrgid_r(gid_t gid, struct group *found, char *buffer,
				      size_t length, int *errnop)
{
	static char *nobody[] = { NULL };
	(void)buffer;
	(void)length;
	*errnop = ENOENT;
	if (gid != ELVES)
		return NSS_STATUS_NOTFOUND;
	*found = (struct group){ .gr_name = "elves", .gr_passwd = "*", .gr_gid = gid, .gr_mem = nobody };
	return NSS_STATUS_SUCCESS;
}
