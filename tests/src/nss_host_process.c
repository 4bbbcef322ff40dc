/*
 * Lookups in processes that are not as one would wish: without descriptors or with
 * very many, of many threads, forking, confined, at their end.
 */
#include "nss_host.h"

static int descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

void kept(void)
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
void few(void)
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
void open_many(void)
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

void many(void)
{
	open_many();
	find_all();
}

void closed(void)
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

void threads(void)
{
	pthread_t all[8];
	for (int at = 0; at < 8; at++)
		CHECK(pthread_create(&all[at], NULL, ten_thousand, NULL) == 0);
	for (int at = 0; at < 8; at++)
		CHECK(pthread_join(all[at], NULL) == 0);
}

static volatile long found;

static void *until_cancelled(void *unused)
{
	char buffer[MOST];
	struct passwd person;
	int number = 0;
	for (;;) {
		CHECK(getpwnam_of(name, &person, buffer, sizeof buffer, &number) == NSS_STATUS_SUCCESS);
		found++;
		pthread_testcancel();
	}
	return unused;
}

/* Threads that are cancelled in the middle of a lookup, which has calls that a thread can be
 * cancelled at. They end behind it, and the process lives. */
void cancelled(void)
{
	for (int at = 0; at < 200; at++) {
		pthread_t thread;
		void *end = NULL;
		long before = found;
		CHECK(pthread_create(&thread, NULL, until_cancelled, NULL) == 0);
		while (found == before)
			sched_yield();
		CHECK(pthread_cancel(thread) == 0);
		CHECK(pthread_join(thread, &end) == 0 && end == PTHREAD_CANCELED);
	}
	find_all();
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
void forks(void)
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
void confined(void)
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

void at_the_end(void)
{
	find_all();
	dprintf(1, "ok at the end\n");
}
