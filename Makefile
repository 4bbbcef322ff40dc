# The one front door. `make` alone says what there is.

PREFIX   ?= /usr
PAMDIR   ?= $(firstword $(wildcard /usr/lib/$(shell uname -m)-linux-gnu/security /usr/lib64/security) /usr/lib/security)
NSSDIR   ?= $(firstword $(wildcard /usr/lib/$(shell uname -m)-linux-gnu /usr/lib64) /usr/lib)
UNITDIR  ?= $(PREFIX)/lib/systemd/system
CARGO    ?= cargo
TARGET   := $(or $(CARGO_TARGET_DIR),target)
INTEROP  := target/interop

# What the tests need beside a Rust toolchain, as Debian 12 names it.
PACKAGES := gcc libc6-dev libpam0g-dev openssl openssh-server openssh-client sudo cron adduser passwd pamtester \
            iproute2 iptables tshark libauthen-tacacsplus-perl python3-venv

PROGRAMS := -p tac_plus -p tacacs_client
MODULES  := -p pam_tacplus_rs -p libnss_tacplus

.PHONY: help build install demo test lint fmt bench setup setup-packages setup-demo clean

help:
	@echo 'make build     the server and the clients in target/release, the PAM and NSS modules in target/module'
	@echo 'make install   put them in place (DESTDIR, PREFIX, PAMDIR, NSSDIR are honoured);'
	@echo '              refuses while a PAM line would lock root out, unless FORCE=1 is given'
	@echo 'make demo      a user whom only the server knows logs in, step by step, beside the host'
	@echo 'make test      everything that is checked; what continuous integration runs'
	@echo 'make lint      formatting and clippy only'
	@echo 'make fmt       format the sources'
	@echo 'make bench     the benchmarks'
	@echo 'make setup     install what the tests need (Debian)'
	@echo 'make clean     throw away what was built'

build:
	$(CARGO) build --release --locked $(PROGRAMS)
	$(CARGO) build --profile module --locked $(MODULES)

# A module of this version locks root out where a PAM line was written for one before it.
install: build
	@$(TARGET)/release/tacplus check --before-install --root '$(DESTDIR)/' || [ '$(FORCE)' = 1 ] || { \
	    echo 'make: nothing was installed; change these lines first, or say FORCE=1' >&2; exit 1; }
	install -D -m 0644 $(TARGET)/module/libpam_tacplus.so $(DESTDIR)$(PAMDIR)/pam_tacplus.so
	install -D -m 0644 $(TARGET)/module/libnss_tacplus.so $(DESTDIR)$(NSSDIR)/libnss_tacplus.so.2
	$(if $(DESTDIR),,ldconfig)
	install -D -m 0755 $(TARGET)/release/tacacs_client $(DESTDIR)$(PREFIX)/bin/tacacs_client
	install -D -m 0755 $(TARGET)/release/tacplus $(DESTDIR)$(PREFIX)/bin/tacplus
	install -D -m 0755 $(TARGET)/release/tac_plus $(DESTDIR)$(PREFIX)/sbin/tac_plus
	install -D -m 0755 $(TARGET)/release/tac_pwd $(DESTDIR)$(PREFIX)/sbin/tac_pwd
	for page in packaging/man/*.[1-8]; do \
	    install -D -m 0644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit; \
	done
	install -D -m 0644 -t $(DESTDIR)$(UNITDIR) packaging/systemd/tac_plus.service packaging/systemd/tac_plus.socket
	sed -i 's|/usr/sbin/|$(PREFIX)/sbin/|' $(DESTDIR)$(UNITDIR)/tac_plus.service
	install -D -m 0644 packaging/logrotate.tac_plus $(DESTDIR)/etc/logrotate.d/tac_plus
	install -D -m 0644 packaging/tacplus.conf $(DESTDIR)$(PREFIX)/share/doc/tacplus/tacplus.conf
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/tacplus/pam packaging/pam/*

demo: setup-demo build
	$(CARGO) build --quiet --locked -p e2e --bins
	$(CARGO) run --quiet --locked -p e2e --bin demo

test: setup
	tests/all.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

fmt:
	$(CARGO) fmt --all

bench: setup build
	$(CARGO) bench --locked -p tacacs_common --bench packet --bench identity
	$(CARGO) bench --locked -p e2e --bench login
	$(CARGO) bench --locked -p e2e --bench nss
	$(CARGO) bench --locked -p tac_plus --bench policy
	$(CARGO) bench --locked -p e2e --bench server

# Each part looks first and does nothing when there is nothing to do.
setup: $(INTEROP)/bin/tacacs_client
	@tests/setup.sh rust nextest

setup-packages:
	@tests/setup.sh packages $(PACKAGES)

# The demo needs less than the tests do.
setup-demo:
	@tests/setup.sh packages gcc libc6-dev libpam0g-dev openssh-server openssh-client passwd iproute2

# The client of PyPI that the interoperability tests run.
$(INTEROP)/bin/tacacs_client: | setup-packages
	python3 -m venv $(INTEROP)
	$(INTEROP)/bin/pip install --quiet --disable-pip-version-check tacacs_plus==2.6

clean:
	$(CARGO) clean
