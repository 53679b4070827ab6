#!/bin/sh
# Installs the real mail servers and clients, and the browser, that tests/live works with, where this machine allows it:
# Debian or Ubuntu, as root or with sudo that asks no password. Elsewhere it says what is missing, and those tests are skipped.
# Nothing is started, now or at the next boot. `make test SERVERS=no` leaves the machine as it is.
set -u
packages="dovecot-core dovecot-imapd dovecot-pop3d dovecot-lmtpd dovecot-submissiond dovecot-managesieved
    isync curl swaks libnet-ssleay-perl haproxy nginx libnginx-mod-stream postfix fetchmail tshark chromium"

skip() {
    echo "servers: $1; tests that need what is not there are skipped" >&2
    exit 0
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

command -v apt-get >/dev/null 2>&1 || skip "this system has no apt-get, nothing installed"
missing=
for package in $packages; do
    installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
[ "${SERVERS:-yes}" != no ] || skip "not installed, as asked:$missing"
if [ "$(id -u)" = 0 ]; then
    root="env"
elif sudo -n true 2>/dev/null; then
    root="sudo -n env"
else
    skip "neither root nor sudo without a password; not installed:$missing"
fi

apt="$root DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 timeout 600 apt-get -qq -o DPkg::Lock::Timeout=120"
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null && $root chmod 755 "$policy" && made_policy=yes
fi
trap '[ -z "$made_policy" ] || $root rm -f "$policy"' EXIT

echo "servers: installing$missing" >&2
log=$(mktemp)
$apt update >"$log" 2>&1 || echo "servers: apt-get update failed; trying with the lists that are there" >&2
known=
for package in $missing; do
    apt-cache show "$package" >/dev/null 2>&1 && known="$known $package"
done
# shellcheck disable=SC2086
if ! $apt install -y --no-install-recommends -o Dpkg::Options::=--force-confold $known >>"$log" 2>&1 </dev/null; then
    tail -n 5 "$log" >&2
    skip "apt-get install failed (see above; all of it in $log)"
fi
rm -f "$log"
if command -v systemctl >/dev/null 2>&1; then
    for package in $known; do # only those that were not here before; the service of dovecot-core is called dovecot
        $root systemctl disable "${package%-core}" >/dev/null 2>&1
    done
fi
exit 0
