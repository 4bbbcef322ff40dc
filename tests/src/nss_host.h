/*
 * What the parts of nss_host share: the module's functions, and whom to look up.
 *
 * nss_host.c            loads the module, finds, measures
 * nss_host_answers.c    what a lookup answers, whatever it is asked
 * nss_host_process.c    lookups in processes that are not as one would wish
 */
#ifndef NSS_HOST_H
#define NSS_HOST_H

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <nss.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#define MOST 4096
#define MANY 100000

extern enum nss_status (*getpwnam_of)(const char *, struct passwd *, char *, size_t, int *);
extern enum nss_status (*getpwuid_of)(uid_t, struct passwd *, char *, size_t, int *);
extern enum nss_status (*getgrnam_of)(const char *, struct group *, char *, size_t, int *);
extern enum nss_status (*getgrgid_of)(gid_t, struct group *, char *, size_t, int *);
extern enum nss_status (*getpwent_of)(struct passwd *, char *, size_t, int *);
extern enum nss_status (*getgrent_of)(struct group *, char *, size_t, int *);
extern enum nss_status (*setpwent_of)(int), (*setgrent_of)(int);
extern enum nss_status (*endpwent_of)(void), (*endgrent_of)(void);
extern enum nss_status (*initgroups_of)(const char *, gid_t, long *, long *, gid_t **, long, int *);

extern const char *name;
extern uid_t uid;

#define CHECK(holds)                                                                     \
	do {                                                                             \
		if (!(holds)) {                                                          \
			int why = errno;                                                 \
			dprintf(1, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, \
				#holds, why);                                            \
			_exit(1);                                                        \
		}                                                                        \
	} while (0)

/* nss_host_answers.c */
void sizes(void), names(void), groups(void);
void find_all(void);
void is_person(const struct passwd *found, const char *buffer, size_t size);

/* nss_host_process.c */
void kept(void), few(void), many(void), closed(void), threads(void), forks(void), cancelled(void), confined(void);
void open_many(void);
void at_the_end(void);

#endif
