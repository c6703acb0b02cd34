#!/bin/sh
# Installs what is missing of the given programs: deps.sh redis-server. Without any, of all that the tests start: real
# servers, and a C compiler for the race detector. Debian and its kin only; elsewhere it says what to install.
set -eu

[ $# -gt 0 ] || set -- go redis-server redis-sentinel initdb pgbouncer mariadbd promtool gcc

# Debian keeps servers where the PATH of most people does not look.
for dir in /usr/sbin /usr/lib/postgresql/*/bin; do
	PATH=$PATH:$dir
done

missing=
for program in "$@"; do
	command -v "$program" >/dev/null 2>&1 && continue
	case $program in
	go)
		# Debian's is too old.
		echo "deps: the program go is not in PATH; install Go from https://go.dev/doc/install and run make again" >&2
		exit 1
		;;
	redis-server | redis-sentinel | pgbouncer) package=$program ;;
	initdb) package=postgresql ;;
	mariadbd) package=mariadb-server ;;
	promtool) package=prometheus ;;
	gcc) package="gcc libc6-dev" ;;
	*)
		echo "deps: the package of $program is not known; add it to e2e/tools/deps.sh" >&2
		exit 1
		;;
	esac
	missing="$missing $package"
done
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
