/*
 * A program that looks users up under conditions that real programs are in now and
 * then. It calls the module's own functions, as glibc does, or glibc's.
 *
 * usage: nss_host CHECK NAME UID    NAME is a stored user with this uid and the
 *                                   supplementary groups 27 and 100
 *        nss_host find NAME         one lookup, what came of it, and how long it took
 *        nss_host find-in NAME FOLDER    the same after a chroot
 *        nss_host time NAME UID HOW COUNT THREADS    nanoseconds for all the lookups
 *
 * It prints "ok", or what is wrong and where.
 */
#include "nss_host.h"

enum nss_status (*getpwnam_of)(const char *, struct passwd *, char *, size_t, int *);
enum nss_status (*getpwuid_of)(uid_t, struct passwd *, char *, size_t, int *);
enum nss_status (*getgrnam_of)(const char *, struct group *, char *, size_t, int *);
enum nss_status (*getgrgid_of)(gid_t, struct group *, char *, size_t, int *);
enum nss_status (*getpwent_of)(struct passwd *, char *, size_t, int *);
enum nss_status (*getgrent_of)(struct group *, char *, size_t, int *);
enum nss_status (*setpwent_of)(int), (*setgrent_of)(int);
enum nss_status (*endpwent_of)(void), (*endgrent_of)(void);
enum nss_status (*initgroups_of)(const char *, gid_t, long *, long *, gid_t **, long, int *);

const char *name;
uid_t uid;

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
		{ "confined", confined }, { "cancelled", cancelled },
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
	if (argc == 4 && !strcmp(argv[1], "find-in")) {
		CHECK(chroot(argv[3]) == 0 && chdir("/") == 0);
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
