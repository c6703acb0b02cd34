#!/bin/sh
# Installs what the tests start and is missing: real servers, and a C compiler for the race detector. Debian and its kin only; elsewhere it says
# what to install.
set -eu

# Debian keeps servers where the PATH of most people does not look.
for dir in /usr/sbin /usr/lib/postgresql/*/bin; do
	PATH=$PATH:$dir
done

missing=
need() {
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need redis-server redis-server
need redis-sentinel redis-sentinel
need initdb postgresql
need pgbouncer pgbouncer
need mariadbd mariadb-server
need promtool prometheus
need gcc "gcc libc6-dev"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
	sudo=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
	sudo=sudo
else
	sudo=no
fi
if [ "$sudo" = no ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "deps: these packages are missing; install them once and run make again:" >&2
	echo "  sudo apt-get install -y$missing" >&2
	exit 1
fi

install() {
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}
echo "deps: installing$missing"
# The package lists of a fresh machine are empty or stale; of others they are not worth the wait.
# shellcheck disable=SC2086 # the list is split on purpose
install $missing || { $sudo apt-get update -q && install $missing; }

# Debian starts the servers that it installs. The tests start their own, so the ones that came just now are stopped.
for service in redis-server redis-sentinel postgresql pgbouncer mariadb prometheus; do
	case "$missing " in
	*" $service "* | *" $service-server "*)
		if [ -d /run/systemd/system ]; then
			$sudo systemctl disable --now "$service" || true
		else
			$sudo service "$service" stop || true
		fi
		;;
	esac
done
