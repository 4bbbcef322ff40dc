/*
 * What a lookup answers: whatever size the buffer has, whatever the name is.
 */
#include "nss_host.h"

static int within(const void *pointer, const char *buffer, size_t size)
{
	return (const char *)pointer >= buffer && (const char *)pointer < buffer + size;
}

static int text_within(const char *text, const char *buffer, size_t size)
{
	return within(text, buffer, size) &&
	       memchr(text, 0, (size_t)(buffer + size - text)) != NULL;
}

void is_person(const struct passwd *found, const char *buffer, size_t size)
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
void sizes(void)
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
void names(void)
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

void groups(void)
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

void find_all(void)
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
