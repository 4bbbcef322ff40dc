/*
 * A program that looks users up under conditions that real programs are in now and
 * then. It calls the module's own functions, as glibc does, or glibc's.
 *
 * usage: nss_host CHECK NAME UID    NAME is a stored user with this uid and the
 *                                   supplementary groups 27 and 100
 *        nss_host find NAME         one lookup, what came of it, and how long it took
 *        nss_host time NAME UID HOW COUNT THREADS    nanoseconds for all the lookups
 *
 * It prints "ok", or what is wrong and where.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <nss.h>
#include <pthread.h>
#include <pwd.h>
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

static enum nss_status (*getpwnam_of)(const char *, struct passwd *, char *, size_t, int *);
static enum nss_status (*getpwuid_of)(uid_t, struct passwd *, char *, size_t, int *);
static enum nss_status (*getgrnam_of)(const char *, struct group *, char *, size_t, int *);
static enum nss_status (*getgrgid_of)(gid_t, struct group *, char *, size_t, int *);
static enum nss_status (*getpwent_of)(struct passwd *, char *, size_t, int *);
static enum nss_status (*getgrent_of)(struct group *, char *, size_t, int *);
static enum nss_status (*setpwent_of)(int), (*setgrent_of)(int);
static enum nss_status (*endpwent_of)(void), (*endgrent_of)(void);
static enum nss_status (*initgroups_of)(const char *, gid_t, long *, long *, gid_t **, long, int *);

static const char *name;
static uid_t uid;

#define CHECK(holds)                                                                     \
	do {                                                                             \
		if (!(holds)) {                                                          \
			int why = errno;                                                 \
			dprintf(1, "line %d: not so: %s (errno %d)\n", __LINE__, #holds, \
				why);                                                    \
			_exit(1);                                                        \
		}                                                                        \
	} while (0)

static void load(void)
{
	void *module = dlopen("libnss_tacplus.so.2", RTLD_NOW | RTLD_LOCAL);
	CHECK(module != NULL);
#define LOAD(function)                                                  \
	do {                                                            \
		*(void **)&function##_of =                              \
			dlsym(module, "_nss_tacplus_" SYMBOL_##function); \
		CHECK(function##_of != NULL);                           \
	} while (0)
#define SYMBOL_getpwnam "getpwnam_r"
#define SYMBOL_getpwuid "getpwuid_r"
#define SYMBOL_getgrnam "getgrnam_r"
#define SYMBOL_getgrgid "getgrgid_r"
#define SYMBOL_getpwent "getpwent_r"
#define SYMBOL_getgrent "getgrent_r"
#define SYMBOL_setpwent "setpwent"
#define SYMBOL_setgrent "setgrent"
#define SYMBOL_endpwent "endpwent"
#define SYMBOL_endgrent "endgrent"
#define SYMBOL_initgroups "initgroups_dyn"
	LOAD(getpwnam);
	LOAD(getpwuid);
	LOAD(getgrnam);
	LOAD(getgrgid);
	LOAD(getpwent);
	LOAD(getgrent);
	LOAD(setpwent);
	LOAD(setgrent);
	LOAD(endpwent);
	LOAD(endgrent);
	LOAD(initgroups);
}

static int within(const void *pointer, const char *buffer, size_t size)
{
	return (const char *)pointer >= buffer && (const char *)pointer < buffer + size;
}

static int text_within(const char *text, const char *buffer, size_t size)
{
	return within(text, buffer, size) &&
	       memchr(text, 0, (size_t)(buffer + size - text)) != NULL;
}

static void is_person(const struct passwd *found, const char *buffer, size_t size)
{
	CHECK(text_within(found->pw_name, buffer, size) && !strcmp(found->pw_name, name));
	CHECK(text_within(found->pw_passwd, buffer, size) && !strcmp(found->pw_passwd, "*"));
	CHECK(text_within(found->pw_gecos, buffer, size));
	CHECK(text_within(found->pw_dir, buffer, size));
	CHECK(text_within(found->pw_shell, buffer, size));
	CHECK(found->pw_uid == uid && found->pw_gid == uid);
}

static void is_group(const struct group *found, const char *buffer, size_t size)
{
	CHECK(text_within(found->gr_name, buffer, size) && !strcmp(found->gr_name, name));
	CHECK(text_within(found->gr_passwd, buffer, size));
	CHECK(found->gr_gid == uid);
	CHECK((uintptr_t)found->gr_mem % sizeof(char *) == 0);
	CHECK(within(found->gr_mem, buffer, size) && within((char *)(found->gr_mem + 1) - 1, buffer, size));
	CHECK(found->gr_mem[0] == NULL);
}

/* Every size of buffer, at every alignment, with a page behind it that kills. */
static void sizes(void)
{
	char *pages = mmap(NULL, 2 * MOST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED && mprotect(pages + MOST, MOST, PROT_NONE) == 0);
	for (int function = 0; function < 6; function++) {
		int fits = 0;
		for (size_t size = 0; size <= MOST; size++) {
			char *buffer = pages + MOST - size;
			struct passwd person;
			struct group group;
			int number = 4711;
			enum nss_status status = NSS_STATUS_UNAVAIL;
			memset(pages, 0x5a, MOST);
			errno = EXDEV;
			switch (function) {
			case 0: status = getpwnam_of(name, &person, buffer, size, &number); break;
			case 1: status = getpwuid_of(uid, &person, buffer, size, &number); break;
			case 2: status = getgrnam_of(name, &group, buffer, size, &number); break;
			case 3: status = getgrgid_of(uid, &group, buffer, size, &number); break;
			case 4:
				CHECK(setpwent_of(0) == NSS_STATUS_SUCCESS);
				status = getpwent_of(&person, buffer, size, &number);
				break;
			case 5:
				CHECK(setgrent_of(0) == NSS_STATUS_SUCCESS);
				status = getgrent_of(&group, buffer, size, &number);
				break;
			}
			CHECK(errno == EXDEV);
			for (char *before = pages; before < buffer; before++)
				CHECK(*before == 0x5a);
			if (status == NSS_STATUS_TRYAGAIN) {
				CHECK(number == ERANGE && !fits);
				continue;
			}
			CHECK(status == NSS_STATUS_SUCCESS && number == 4711);
			fits = 1;
			if (function % 4 < 2 && function != 5)
				is_person(&person, buffer, size);
			else
				is_group(&group, buffer, size);
		}
		CHECK(fits);
	}
	struct passwd person;
	int number = 0;
	CHECK(getpwnam_of(name, &person, NULL, 0, &number) == NSS_STATUS_TRYAGAIN && number == ERANGE);
}

static void nobody(const char *who, size_t length)
{
	char buffer[MOST];
	struct passwd person;
	struct group group;
	int number = 0;
	gid_t *list = malloc(sizeof *list);
	long start = 0, size = 1;
	(void)length;
	CHECK(getpwnam_of(who, &person, buffer, sizeof buffer, &number) == NSS_STATUS_NOTFOUND);
	CHECK(number == ENOENT);
	number = 0;
	CHECK(getgrnam_of(who, &group, buffer, sizeof buffer, &number) == NSS_STATUS_NOTFOUND);
	CHECK(number == ENOENT);
	number = 0;
	CHECK(initgroups_of(who, uid, &start, &size, &list, 0, &number) == NSS_STATUS_NOTFOUND);
	CHECK(number == ENOENT && start == 0);
	free(list);
}

/* Names that are none, and ids that are nobody's. */
static void names(void)
{
	static const char *const odd[] = {
		"", "*", "root", "pam_unix_non_existent:", "-rf", "0", "12345", "a:b", "a/b",
		"a\nb", "../x", ".", "..", "\xff\xfe", "al\xc3\xad" "ce", "Alice", "alice ", " alice",
		"+", "+alice", "-alice", "@group", "a\x1b[2J", "%s%n", "$(id)", "`id`", "a;b",
	};
	for (size_t at = 0; at < sizeof odd / sizeof *odd; at++)
		nobody(odd[at], strlen(odd[at]));
	nobody(NULL, 0);
	for (size_t length = 32; length <= 32768; length *= 2) {
		char *huge = malloc(length + 1);
		CHECK(huge != NULL);
		memset(huge, 'a', length);
		huge[length] = 0;
		if (length > 32)
			nobody(huge, length);
		free(huge);
	}
	static const uid_t ids[] = { 0, (uid_t)-1, (uid_t)-2, 1, 999, 65534 };
	for (size_t at = 0; at < sizeof ids / sizeof *ids; at++) {
		char buffer[MOST];
		struct passwd person;
		struct group group;
		int number = 0;
		CHECK(getpwuid_of(ids[at], &person, buffer, sizeof buffer, &number) == NSS_STATUS_NOTFOUND);
		CHECK(number == ENOENT);
		CHECK(getgrgid_of(ids[at], &group, buffer, sizeof buffer, &number) == NSS_STATUS_NOTFOUND);
	}
}

static void groups(void)
{
	for (long limit = 0; limit < 6; limit++) {
		for (long room = 1; room < 6; room++) {
			if (limit > 0 && room > limit)
				continue;
			gid_t *list = malloc((size_t)room * sizeof *list);
			long start = 1, size = room;
			int number = 4711;
			list[0] = uid;
			CHECK(initgroups_of(name, uid, &start, &size, &list, limit, &number) ==
			      NSS_STATUS_SUCCESS);
			long wanted = limit > 0 && limit < 3 ? limit : 3;
			CHECK(number == 4711 && start == wanted && start <= size);
			CHECK(limit == 0 || size <= limit);
			CHECK(list[0] == uid && (start < 2 || list[1] == 27) && (start < 3 || list[2] == 100));
			/* A second time adds nothing that is there already. */
			CHECK(initgroups_of(name, uid, &start, &size, &list, limit, &number) ==
			      NSS_STATUS_SUCCESS);
			CHECK(start == wanted);
			free(list);
		}
	}
	/* Another module's user of the same name. */
	gid_t *list = malloc(sizeof *list);
	long start = 0, size = 1;
	int number = 0;
	CHECK(initgroups_of(name, 1234, &start, &size, &list, 0, &number) == NSS_STATUS_NOTFOUND);
	CHECK(start == 0 && number == ENOENT);
	free(list);
}

static void find_all(void)
{
	char buffer[MOST];
	struct passwd person;
	struct group group;
	int number = 0;
	gid_t *list = malloc(sizeof *list);
	long start = 0, size = 1;
	CHECK(getpwnam_of(name, &person, buffer, sizeof buffer, &number) == NSS_STATUS_SUCCESS);
	is_person(&person, buffer, sizeof buffer);
	CHECK(getpwuid_of(uid, &person, buffer, sizeof buffer, &number) == NSS_STATUS_SUCCESS);
	is_person(&person, buffer, sizeof buffer);
	CHECK(getgrnam_of(name, &group, buffer, sizeof buffer, &number) == NSS_STATUS_SUCCESS);
	is_group(&group, buffer, sizeof buffer);
	CHECK(getgrgid_of(uid, &group, buffer, sizeof buffer, &number) == NSS_STATUS_SUCCESS);
	is_group(&group, buffer, sizeof buffer);
	CHECK(initgroups_of(name, uid, &start, &size, &list, 0, &number) == NSS_STATUS_SUCCESS);
	CHECK(start == 2 && list[0] == 27 && list[1] == 100);
	free(list);
	CHECK(getpwnam_of("nosuchuser", &person, buffer, sizeof buffer, &number) == NSS_STATUS_NOTFOUND);
}

static int descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void kept(void)
{
	int before = descriptors();
	find_all();
	CHECK(setpwent_of(1) == NSS_STATUS_SUCCESS && setgrent_of(1) == NSS_STATUS_SUCCESS);
	char buffer[MOST];
	struct passwd person;
	int number = 0;
	CHECK(getpwent_of(&person, buffer, sizeof buffer, &number) == NSS_STATUS_SUCCESS);
	CHECK(descriptors() == before);
	CHECK(endpwent_of() == NSS_STATUS_SUCCESS && endgrent_of() == NSS_STATUS_SUCCESS);
}

/* Not one descriptor is left for it. */
static void few(void)
{
	struct rlimit old, few = { 3, 3 };
	char buffer[MOST];
	struct passwd person;
	int number = 0;
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	few.rlim_max = old.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHECK(getpwnam_of(name, &person, buffer, sizeof buffer, &number) == NSS_STATUS_TRYAGAIN);
	CHECK(number == EAGAIN);
	CHECK(getpwuid_of(uid, &person, buffer, sizeof buffer, &number) == NSS_STATUS_TRYAGAIN);
	CHECK(number == EAGAIN);
	CHECK(getpwnam_of("nosuchuser", &person, buffer, sizeof buffer, &number) == NSS_STATUS_TRYAGAIN);
	CHECK(getpwnam_of("root", &person, buffer, sizeof buffer, &number) == NSS_STATUS_NOTFOUND);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	find_all();
}

/* As many as the host lets it have, and a hundred thousand at most. */
static void open_many(void)
{
	struct rlimit many, more = { MANY + 100, MANY + 100 };
	CHECK(getrlimit(RLIMIT_NOFILE, &many) == 0);
	if (many.rlim_max >= more.rlim_max || setrlimit(RLIMIT_NOFILE, &more) < 0) {
		many.rlim_cur = many.rlim_max < more.rlim_cur ? many.rlim_max : more.rlim_cur;
		CHECK(setrlimit(RLIMIT_NOFILE, &many) == 0);
		more = many;
	}
	int last = 0;
	while (last < (int)more.rlim_cur - 100)
		CHECK((last = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
	CHECK(last > 2000);
	dprintf(2, "%d descriptors\n", last);
}

static void many(void)
{
	open_many();
	find_all();
}

static void closed(void)
{
	int out = fcntl(1, F_DUPFD_CLOEXEC, 10);
	CHECK(out >= 10);
	close(0);
	close(1);
	close(2);
	find_all();
	int left = fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0 && fcntl(2, F_GETFD) < 0;
	CHECK(dup2(out, 1) == 1);
	CHECK(left);
}

static void *ten_thousand(void *unused)
{
	char buffer[MOST];
	struct passwd person;
	int number = 0;
	for (int at = 0; at < 10000; at++) {
		if (at % 2)
			CHECK(getpwnam_of(name, &person, buffer, sizeof buffer, &number) == NSS_STATUS_SUCCESS);
		else
			CHECK(getpwuid_of(uid, &person, buffer, sizeof buffer, &number) == NSS_STATUS_SUCCESS);
		is_person(&person, buffer, sizeof buffer);
	}
	return unused;
}

static void threads(void)
{
	pthread_t all[8];
	for (int at = 0; at < 8; at++)
		CHECK(pthread_create(&all[at], NULL, ten_thousand, NULL) == 0);
	for (int at = 0; at < 8; at++)
		CHECK(pthread_join(all[at], NULL) == 0);
}

static volatile int done;

static void *until_done(void *unused)
{
	char buffer[MOST];
	struct passwd person;
	int number = 0;
	while (!done) {
		find_all();
		getpwent_of(&person, buffer, sizeof buffer, &number);
	}
	return unused;
}

/* Children of a process whose other threads are in the middle of a lookup. */
static void forks(void)
{
	pthread_t all[4];
	for (int at = 0; at < 4; at++)
		CHECK(pthread_create(&all[at], NULL, until_done, NULL) == 0);
	for (int at = 0; at < 500; at++) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			char buffer[MOST];
			struct passwd person;
			int number = 0;
			alarm(20);
			find_all();
			/* Where the walk is, is not known here; that it answers is. */
			getpwent_of(&person, buffer, sizeof buffer, &number);
			_exit(0);
		}
		int status = -1;
		CHECK(waitpid(child, &status, 0) == child && status == 0);
	}
	done = 1;
	for (int at = 0; at < 4; at++)
		CHECK(pthread_join(all[at], NULL) == 0);
}

/* As a confined daemon: the kernel kills who opens a socket. */
static void confined(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof rules / sizeof *rules, rules };
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
	find_all();
}

static void at_the_end(void)
{
	find_all();
	dprintf(1, "ok at the end\n");
}

static long milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* For how long this process has been ready to run while others ran. */
static long kept_waiting(void)
{
	char text[64] = "";
	int fd = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
	long long delay = 0;
	if (fd >= 0 && read(fd, text, sizeof text - 1) > 0)
		sscanf(text, "%*d %lld", &delay);
	close(fd);
	return (long)(delay / 1000000);
}

/* One lookup of the module, for its status, its error number and the time that is its own
 * doing: waits for servers, and work. What other programs of a busy machine took from it
 * is not. */
static void find(const char *who)
{
	char buffer[MOST];
	struct passwd person;
	int number = 0;
	long begin = milliseconds() - kept_waiting();
	enum nss_status status = getpwnam_of(who, &person, buffer, sizeof buffer, &number);
	long took = milliseconds() - kept_waiting() - begin;
	printf("status %d errno %d %s %s\n", (int)status, number,
	       status == NSS_STATUS_SUCCESS ? person.pw_name : "-",
	       took < 1000 ? "in time" : "late");
}

static long lookups;
static char how;

static void *look_up(void *unused)
{
	char buffer[MOST];
	struct passwd person;
	int number = 0;
	gid_t list[64], *groups = list;
	for (long at = 0; at < lookups; at++) {
		long start = 0, size = 64;
		switch (how) {
		case 'n':
			CHECK(getpwnam_of(name, &person, buffer, sizeof buffer, &number) == NSS_STATUS_SUCCESS);
			break;
		case 'u':
			CHECK(getpwuid_of(uid, &person, buffer, sizeof buffer, &number) == NSS_STATUS_SUCCESS);
			break;
		case 'g':
			CHECK(initgroups_of(name, uid, &start, &size, &groups, 64, &number) == NSS_STATUS_SUCCESS);
			break;
		case 'x':
			CHECK(getpwnam_of("nosuchuser", &person, buffer, sizeof buffer, &number) == NSS_STATUS_NOTFOUND);
			break;
		case 'f': {
			pid_t child = fork();
			if (child == 0) {
				CHECK(getpwnam_of(name, &person, buffer, sizeof buffer, &number) == NSS_STATUS_SUCCESS);
				_exit(0);
			}
			CHECK(waitpid(child, NULL, 0) == child);
			break;
		}
		case 'e': {
			pid_t child = fork();
			if (child == 0)
				_exit(0);
			CHECK(waitpid(child, NULL, 0) == child);
			break;
		}
		}
	}
	return unused;
}

/* How long so many lookups take in each of so many threads. */
static void measure(long count, int threads)
{
	pthread_t all[64];
	struct timespec begin, end;
	lookups = 1;
	look_up(NULL);
	lookups = count;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int at = 0; at < threads && at < 64; at++)
		CHECK(pthread_create(&all[at], NULL, look_up, NULL) == 0);
	for (int at = 0; at < threads && at < 64; at++)
		CHECK(pthread_join(all[at], NULL) == 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%ld\n", (end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} checks[] = {
		{ "sizes", sizes },     { "names", names },     { "groups", groups },
		{ "kept", kept },       { "few", few },         { "many", many },
		{ "closed", closed },   { "threads", threads }, { "forks", forks },
		{ "confined", confined },
	};
	load();
	if (argc == 3 && !strcmp(argv[1], "find")) {
		find(argv[2]);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "find-many")) {
		open_many();
		find(argv[2]);
		return 0;
	}
	if (argc < 4)
		return 2;
	name = argv[2];
	uid = (uid_t)strtoul(argv[3], NULL, 10);
	if (argc == 7 && !strcmp(argv[1], "time")) {
		how = *argv[4];
		measure(strtol(argv[5], NULL, 10), atoi(argv[6]));
		return 0;
	}
	if (!strcmp(argv[1], "atexit"))
		return atexit(at_the_end);
	for (size_t at = 0; at < sizeof checks / sizeof *checks; at++) {
		if (!strcmp(argv[1], checks[at].name)) {
			checks[at].run();
			dprintf(1, "ok\n");
			return 0;
		}
	}
	return 2;
}
