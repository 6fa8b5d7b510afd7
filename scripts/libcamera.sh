#!/usr/bin/env bash
# Check edge/capture/picamera.py with real picamera2 on real libcamera, whose virtual camera films the synthetic face:
#   scripts/libcamera.sh             all checks, as a table; status 1 if one fails
#   scripts/libcamera.sh NAME        one of them, a function of tests/libcamera/check.py
#   scripts/libcamera.sh --record    all checks, and the table into docs/picamera2.md
#   scripts/libcamera.sh --setup     only make the system that they run in
#   scripts/libcamera.sh --made      only check whether that system is there; status 1 if not
# That system is Debian trixie for this machine's own processor, made once in ~/.cache/emotion-edge/libcamera (800 MB). It
# is run as root, in namespaces of its own: nothing is mounted or installed outside that folder.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh

cache=${XDG_CACHE_HOME:-$HOME/.cache}/emotion-edge/libcamera
root=$cache/root
page=docs/picamera2.md
suite=trixie
packages=python3,python3-libcamera,python3-prctl,gcc,libc6-dev
# picamera2 without what pip cannot install on any machine: python-prctl is Debian's, and PiDNG is stood in for.
picamera2=(picamera2==0.3.38 simplejpeg videodev2 piexif av libarchive-c OpenEXR pillow tqdm)

main() {
    case ${1:-} in
        --record | --setup | --made | [!-]* | "") ;;
        *)
            echo "libcamera.sh: error: unknown option $1; there are --record, --setup and --made" >&2
            exit 2
            ;;
    esac
    need_tools
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9 # two at once would make it twice
    if [ "${1:-}" = --made ]; then
        is_made || fail "the system with libcamera is not there, or not up to date; 'sudo $0 --setup'"
        return
    fi
    is_made || make_system
    case ${1:-} in
        --setup) ;;
        --record) record ;;
        *) enter "$@" ;;
    esac
}

need_tools() {
    local tool
    [ "$(id -u)" = 0 ] || fail "has to be run as root, to change the root folder: 'sudo $0'"
    for tool in mmdebstrap unshare flock; do
        command -v "$tool" >/dev/null || fail "$tool is not here; 'sudo apt install mmdebstrap util-linux'"
    done
    compgen -G "/usr/share/keyrings/debian-archive-$suite-*" >/dev/null ||
        fail "debian-archive-keyring is older than $suite; 'sudo apt install debian-archive-keyring'"
}

recipe() {
    echo "$suite $packages ${picamera2[*]}"
    cat pyproject.toml scripts/constraints.txt
}

is_made() {
    [ "$(cat "$root/.stamp" 2>/dev/null)" = "$(recipe | sha256sum)" ]
}

make_system() {
    local python mirror
    python=$(find_python 11 12 13) || fail "no Python 3.11 to 3.13 with venv; 'sudo apt install python3 python3-venv'"
    mirror=$(debian_mirror)
    echo "making Debian $suite with libcamera and picamera2 in $cache (once; some minutes on a slow line)" >&2
    rm -rf --one-file-system "$root" "$root.part"
    # In a namespace of its own, so that what it mounts goes with it, also when it is killed.
    env -u TMPDIR unshare --mount mmdebstrap --quiet --variant=apt --include="$packages" "$suite" "$root.part" "$mirror" ||
        fail "no Debian system could be made from $mirror; see the lines above"
    install_python_packages "$python" "$root.part/opt/edge"
    mkdir -p "$root.part/src" "$root.part/usr/share/libcamera/pipeline/virtual"
    recipe | sha256sum >"$root.part/.stamp"
    mv "$root.part" "$root"
}

# debian_mirror: print where this machine's own apt gets Debian from.
debian_mirror() {
    local mirror
    # shellcheck disable=SC2016 # the $ are apt's
    mirror=$(apt-get indextargets --format '$(COMPONENT) $(REPO_URI)' | sed -nE 's|^main (.*/debian/?)$|\1|p' | head -n 1)
    mirror=${DEBIAN_MIRROR:-$mirror}
    [ -n "$mirror" ] || fail "apt knows no Debian mirror here; name one: DEBIAN_MIRROR=http://.../debian $0"
    echo "$mirror"
}

# install_python_packages PYTHON FOLDER: by this machine's pip, which knows its way to a package index.
install_python_packages() {
    local into=(--quiet --python-version 3.13 --only-binary=:all: --target "$2")
    "$1" -m venv --clear "$cache/pip"
    "$cache/pip/bin/pip" install "${into[@]}" --no-deps "${picamera2[@]}"
    "$cache/pip/bin/pip" install "${into[@]}" --upgrade -c scripts/constraints.txt .
    rm -rf "$cache/pip" "$2/edge" "$2/trainer" # the code is this tree's
}

# enter ARGUMENTS...: run the checks inside. The mounts are this process' own, and go with it.
enter() {
    # shellcheck disable=SC2016 # expanded inside
    unshare --mount --pid --fork --kill-child bash -c '
        set -euo pipefail
        root=$1 tree=$2
        mount -t proc proc "$root/proc"
        mount --rbind /sys "$root/sys"
        mount --bind -o ro "$tree" "$root/src"
        cp "$tree/tests/libcamera/virtual.yaml" "$root/usr/share/libcamera/pipeline/virtual/"
        chroot "$root" gcc -shared -fPIC -Wall -Wextra -Werror -o /opt/dma_heap.so /src/tests/libcamera/dma_heap.c
        exec chroot "$root" env -i PATH=/usr/bin HOME=/root PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/src:/opt/edge \
            LIBCAMERA_LOG_LEVELS="*:ERROR" LD_PRELOAD=/opt/dma_heap.so python3 -m tests.libcamera.check "${@:3}"
    ' bash "$root" "$PWD" "$@"
}

# record: put the table into the page, between the two lines that mark its place, and show it.
record() {
    local begin='<!-- written by libcamera.sh from here -->' end='<!-- to here -->' new=$cache/page.md
    [ "$(grep -cxF -e "$begin" -e "$end" "$page")" = 2 ] || fail "$page lacks the line '$begin' or '$end'"
    enter | tee "$cache/table.md"
    {
        sed "/^$begin\$/q" "$page"
        echo
        cat "$cache/table.md"
        echo
        sed -n "/^$end\$/,\$p" "$page"
    } >"$new"
    mv "$new" "$page"
}

main "$@"
