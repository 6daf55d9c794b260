#!/bin/sh
# Installs the program with its man pages, completions and systemd units below a prefix, from a build or a package made of one.
set -eu

HELP='Installs artifacts: the program, man pages, shell completions and systemd units.

  deploy/install.sh [--prefix DIR] [--program FILE] [--destdir DIR] [--no-units]
  deploy/install.sh --uninstall [--prefix DIR] [--destdir DIR]

  --prefix DIR    below which [default: /usr/local]
  --program FILE  the program [default: the one beside this script, else target/release/artifacts]
  --destdir DIR   put everything below DIR instead of /, for a package
  --no-units      no systemd units and no user `artifacts`
  --uninstall     take it away again; data and settings stay'

prefix=/usr/local
destdir=
program=
units=yes
uninstall=no
here="$(cd "$(dirname "$0")" && pwd)"

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case "$1" in
        --prefix | --program | --destdir)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case "$1" in
                --prefix) prefix="$2" ;;
                --program) program="$2" ;;
                --destdir) destdir="$2" ;;
            esac
            shift
            ;;
        --no-units) units=no ;;
        --uninstall) uninstall=yes ;;
        -h | --help)
            echo "$HELP"
            exit 0
            ;;
        *) fail "what is \`$1\`? --help says what there is" ;;
    esac
    shift
done

bin="$destdir$prefix/bin"
man="$destdir$prefix/share/man/man1"
bash="$destdir$prefix/share/bash-completion/completions"
zsh="$destdir$prefix/share/zsh/site-functions"
fish="$destdir$prefix/share/fish/vendor_completions.d"
system="$destdir/etc/systemd/system"

if [ "$uninstall" = yes ]; then
    rm -f "$bin/artifacts" "$bash/artifacts" "$zsh/_artifacts" "$fish/artifacts.fish"
    rm -f "$man/artifacts.1" "$man"/artifacts-*.1
    rm -f "$system/artifacts-node.service" "$system/artifacts-agent.service" "$system/artifacts-mount@.service"
    echo "removed from $destdir$prefix; data and settings stay"
    exit 0
fi

if [ -z "$program" ]; then
    program="$here/artifacts"
    [ -x "$program" ] || program="$here/../target/release/artifacts"
fi
[ -x "$program" ] || fail "no program at $program: cargo build --release -p artifacts, or give --program"

install -D -m 0755 "$program" "$bin/artifacts"
install -d "$bash" "$zsh" "$fish"
"$program" completions bash >"$bash/artifacts"
"$program" completions zsh >"$zsh/_artifacts"
"$program" completions fish >"$fish/artifacts.fish"
# The program for sandboxes writes none, so a package brings them.
if [ -d "$here/man" ]; then
    install -D -m 0644 -t "$man" "$here"/man/*.1
elif "$program" manual man "$man" >/dev/null 2>&1; then
    chmod 0644 "$man"/artifacts*.1
fi

if [ "$units" = yes ]; then
    install -d "$system"
    for unit in artifacts-node artifacts-agent artifacts-mount@; do
        sed "s|/usr/local/bin/artifacts|$prefix/bin/artifacts|" "$here/systemd/$unit.service" >"$system/$unit.service"
        chmod 0644 "$system/$unit.service"
    done
    if [ -z "$destdir" ] && [ "$(id -u)" -eq 0 ] && ! id artifacts >/dev/null 2>&1; then
        useradd --system --no-create-home --home-dir /var/lib/artifacts --shell /usr/sbin/nologin artifacts
    fi
fi

echo "installed $("$program" --version) in $destdir$prefix"
[ "$units" = no ] || echo "next: write /etc/artifacts/node.json, then systemctl enable --now artifacts-node"
