#!/usr/bin/env bash
# Make one file with everything that a board needs to run this commit without internet:
#
#   scripts/bundle.sh --target arm64-py3.13 [--out DIR] [--model MODEL] [--sign KEY]  writes DIR/emotion-edge-VERSION-TARGET.tar
#   scripts/bundle.sh --sign KEY FILE...                                   signs bundles made before, or models: FILE.sig
#   scripts/bundle.sh --lock [--target arm64-py3.13]                       pins the newest versions; see below
#
# TARGET: arm64-py3.11 (Raspberry Pi OS Bookworm, 64-bit), arm64-py3.13 (Trixie), or x86_64-py3.11 to -py3.13.
# VERSION is the package's version and the commit, e.g. 0.1.0+g1a2b3c4; with the tree's own digest if there are uncommitted
# changes, and with the model's digest if it is not the shipped one. The same tree gives the same bytes: everything that is
# downloaded is pinned with its hash in scripts/locks.
#
# --lock writes scripts/locks/TARGET.txt, for this target or for each that has one, and scripts/locks/build.txt, with the
# newest versions that pyproject.toml and scripts/constraints.txt allow. After a package name, `# web` says which sink needs it
# and `# board` that only bundles have it; the others are always installed. scripts/run.sh reads these files, too.
#
# MODEL is the one that the service runs: a name, such as fast for models/fast.tflite, or a file. The package has all of models/.
# KEY is a private key of ssh-keygen, or a public one whose private key ssh-agent holds. See docs/deployment.md.
# The last line on standard output is the file's path.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
. scripts/venv.sh

build_tools=(pip==26.3 hatchling==1.33.0)
# The system's simplejpeg, a dependency of its picamera2, was built for another numpy than ours and does not load with it.
extra_packages=(simplejpeg pip==26.3)
# Extras of sinks that a board's configuration may name: without a network they cannot be installed later.
sinks=(mqtt web window)
shipped=models/emotion.tflite
build_lock=scripts/locks/build.txt
release_namespace=emotion-edge-release # a signature of a model is none of a release; scripts/install.sh checks it
model_namespace=emotion-edge-model

usage() {
    echo "usage: scripts/bundle.sh --target arm64-py3.13 [--out DIR] [--model MODEL] [--sign KEY] | --sign KEY FILE... | --lock; ${1:-}" >&2
    exit 2
}

# caller_path PATH: a path on the command line is relative to the caller's folder.
caller_path() { (cd "$here" && realpath -m -- "$1"); }

# model_path MODEL: a name of models/, or a path.
model_path() {
    if [[ $1 != */* ]] && [ -e "models/$1.tflite" ]; then realpath "models/$1.tflite"; else caller_path "$1"; fi
}

log() { echo "bundle.sh: $1" >&2; }

# read_version: set `tree` to git's hash of the working tree, and `version` to the package's version with it.
read_version() {
    local index=$work/index
    version=$(sed -n 's/^__version__ = "\([^"]*\)".*/\1/p' edge/__init__.py)+g$(git rev-parse --short=7 HEAD)
    cp "$(git rev-parse --git-path index)" "$index"
    tree=$(GIT_INDEX_FILE=$index git add --all && GIT_INDEX_FILE=$index git write-tree)
    if [ "$tree" != "$(git rev-parse 'HEAD^{tree}')" ]; then version+=.dirty.${tree:0:7}; fi
}

# platforms TARGET: print pip's options that select the wheels of another machine.
platforms() {
    local machine=${1%%-*} python=${1#*-py} glibc
    [ "$machine" = arm64 ] && machine=aarch64
    for glibc in 2_28 2_27 2_17; do echo "--platform=manylinux_${glibc}_$machine"; done
    printf '%s\n' "--platform=manylinux2014_$machine" "--python-version=$python" --implementation=cp --only-binary=:all:
}

# build_wheel PYTHON FOLDER: this package's wheel, from a copy of the tree in which the version is the bundle's.
build_wheel() {
    mkdir "$source"
    git archive "$tree" | tar -x -C "$source"
    sed -i "s/^__version__ = .*/__version__ = \"$version\"/" "$source/edge/__init__.py"
    "$1" -m pip wheel --quiet --no-deps --no-build-isolation --no-cache-dir --wheel-dir "$2" "$source" >&2
}

# lock TARGET: pin the newest versions that our wheel and scripts/constraints.txt allow, with their hashes.
lock() {
    local locked=scripts/locks/$1.txt folder=$work/locked-$1 all=$work/pinned-$1 group
    mapfile -t platform < <(platforms "$1")
    mkdir "$folder"
    download "$folder/all" scripts/constraints.txt "[$(IFS=, && echo "${sinks[*]}")]" "${extra_packages[@]}"
    pins "$folder/all" | sed 's/ --hash.*//' >"$all"
    # What each sink adds, in these versions.
    download "$folder/run" "$all" ""
    for group in "${sinks[@]}"; do download "$folder/$group" "$all" "[$group]"; done
    pins "$folder/all" | while read -r pin; do
        echo "$pin$(groups_of "${pin%% *}" "$folder")"
    done >"$locked.part"
    mv "$locked.part" "$locked"
    log "$(wc -l <"$locked") packages written to $locked"
}

# download FOLDER CONSTRAINTS EXTRAS PACKAGE...: the wheels of our package with these extras and of others, without ours.
download() {
    local wheel=("$work"/ours/*.whl)
    "$locking" -m pip download --quiet --dest "$1" --constraint "$2" "${platform[@]}" "${wheel[0]}$3" "${@:4}" >&2
    rm "$1"/emotion_edge-*.whl
}

# pins FOLDER: print `name==version --hash=sha256:...` of its wheels.
pins() {
    local wheel name number
    for wheel in "$1"/*.whl; do
        IFS=- read -r name number _ <<<"$(basename "$wheel")"
        echo "${name//_/-}==$number --hash=sha256:$(sha256sum "$wheel" | cut -d ' ' -f 1)"
    done | sort
}

# groups_of PIN FOLDER: print the comment of a package: nothing if it is always installed.
groups_of() {
    local group found=()
    ! pins "$2/run" | grep -Fq "$1 " || return 0
    for group in "${sinks[@]}"; do
        ! pins "$2/$group" | grep -Fq "$1 " || found+=("$group")
    done
    echo " # ${found[*]:-board}"
}

# lock_build_tools: they are pure Python, so that the file is the same for all targets.
lock_build_tools() {
    "$locking" -m pip download --quiet --dest "$work/build" --only-binary=:all: "${build_tools[@]}" editables >&2
    pins "$work/build" >"$build_lock.part"
    mv "$build_lock.part" "$build_lock"
    log "$(wc -l <"$build_lock") packages written to $build_lock"
}

# lock_all TARGET...: with tools that are not pinned, since these pins are what is made.
lock_all() {
    local each all=("$@")
    mkdir -p scripts/locks
    [ $# -gt 0 ] || mapfile -t all < <(basename --multiple --suffix=.txt scripts/locks/*-py3.*.txt)
    "$python" -m venv "$work/venv"
    locking=$work/venv/bin/python
    "$locking" -m pip install --quiet --disable-pip-version-check "${build_tools[@]}" >&2
    lock_build_tools
    build_wheel "$locking" "$work/ours"
    for each in "${all[@]}"; do lock "$each"; done
}

# fill FOLDER: all files of the bundle.
fill() {
    local bundle=$1 wheel
    mkdir -p "$bundle/wheelhouse" "$bundle/tools"
    .venv-bundle/bin/python -m pip download --quiet --no-deps --require-hashes --dest "$bundle/wheelhouse" \
        "${platform[@]}" --requirement "$locked" >&2 ||
        fail "the packages of $locked could not be downloaded; is there a network?"
    mv "$bundle"/wheelhouse/pip-*.whl "$bundle/tools"
    cp "$work"/ours/*.whl "$bundle/wheelhouse"
    wheel=$(echo "$work"/ours/*.whl)
    { grep -v '^pip==' "$locked" | sed 's/ #.*//'; echo "emotion-edge==$version --hash=sha256:$(sha256sum "$wheel" | cut -d ' ' -f 1)"; } \
        >"$bundle/requirements.txt"
    cp -R "$source/systemd" "$source/scripts/install.sh" "$bundle"
    cp "${model:-$shipped}" "$bundle/model.tflite"
    manifest "$bundle" >"$bundle/manifest"
    (cd "$bundle" && find . -type f -printf '%P\0' | sort -z | xargs -0 sha256sum) >"$work/sums"
    mv "$work/sums" "$bundle/SHA256SUMS"
    [ -z "$key" ] || sign "$bundle/SHA256SUMS" "$release_namespace"
}

# sign FILE NAMESPACE: write FILE.sig.
sign() {
    rm -f "$1.sig"
    ssh-keygen -q -Y sign -f "$key" -n "$2" "$1" >&2 || fail "$1 could not be signed with $key; see above"
}

# sign_files FILE...: bundles, whose SHA256SUMS is signed within, and models.
sign_files() {
    local file
    for file in "$@"; do
        case $file in
        *.tar) sign_bundle "$file" ;;
        *.tflite)
            check_model "$file"
            sign "$file" "$model_namespace"
            echo "$file.sig"
            ;;
        *) usage "$file is neither a bundle (.tar) nor a model (.tflite)" ;;
        esac
    done
}

sign_bundle() {
    local folder
    rm -rf "$work/unpacked" && mkdir "$work/unpacked"
    tar -xf "$1" -C "$work/unpacked" || fail "$1 could not be read"
    folder=$(echo "$work"/unpacked/*)
    if [ ! -f "$folder/SHA256SUMS" ] || ! (cd "$folder" && sha256sum --check --strict --quiet SHA256SUMS >&2); then
        fail "$1: not a whole bundle"
    fi
    sign "$folder/SHA256SUMS" "$release_namespace"
    SOURCE_DATE_EPOCH=$(stat -c %Y "$folder/SHA256SUMS")
    pack "$folder" "$1"
    echo "$1"
}

manifest() {
    echo "release=$release"
    echo "version=$version"
    echo "target=$target"
    echo "installed_bytes=$(installed_bytes "$1")"
}

# installed_bytes FOLDER: print the space that the wheels take when they are unpacked and compiled; bytecode takes about as
# much as its source.
installed_bytes() {
    .venv-bundle/bin/python -c '
import sys, zipfile
members = [member for path in sys.argv[1:] for member in zipfile.ZipFile(path).infolist()]
print(sum(member.file_size * (1 + member.filename.endswith(".py")) for member in members))' "$1"/wheelhouse/*.whl
}

check_model() {
    PYTHONPATH=. "$python" -c '
import sys
from pathlib import Path
from edge.errors import ModelError
from edge.inference import model_file
try:
    model_file.load(Path(sys.argv[1]))
except ModelError as error:
    sys.exit(f"bundle.sh: error: {error}")' "$1" || exit 78
}

# pack FOLDER FILE: the same bytes for the same content.
pack() {
    tar --create --file "$2.part" --directory "$(dirname "$1")" --format=gnu --sort=name --owner=0 --group=0 \
        --numeric-owner --mode=u+rw,go=rX --mtime="@$SOURCE_DATE_EPOCH" "$(basename "$1")"
    mv "$2.part" "$2"
}

read_arguments() {
    while [ $# -gt 0 ]; do
        case "$1" in
        --lock) only_lock=yes && shift && continue ;;
        --target | --out | --model | --sign) [ $# -ge 2 ] || usage "$1 needs a value" ;;
        -*) usage "unknown option $1" ;;
        *) files+=("$(caller_path "$1")") && shift && continue ;;
        esac
        case "$1" in
        --target) target=$2 ;;
        --out) out=$(caller_path "$2") ;;
        --model) model=$(model_path "$2") ;;
        --sign) key=$(caller_path "$2") ;;
        esac
        shift 2
    done
    [ -z "$key" ] || [ -r "$key" ] || usage "--sign is $key, which cannot be read"
    if [ ${#files[@]} -gt 0 ]; then
        [ -n "$key" ] || usage "unexpected argument ${files[0]}; only --sign takes files"
    elif [ -z "$only_lock" ] || [ -n "$target" ]; then
        [[ $target =~ ^(arm64|x86_64)-py3\.1[123]$ ]] || usage "target is '$target', expected arm64-py3.11 or arm64-py3.13"
    fi
}

# read_release: set `version`, and `release`, which also names a model of one's own.
read_release() {
    read_version
    release=$version
    if [ -n "$model" ] && ! cmp -s "$model" "$shipped"; then
        check_model "$model"
        release=$version.m$(sha256sum "$model" | cut -c 1-8)
    fi
}

# make_bundle FILE
make_bundle() {
    local folder
    folder=$work/$(basename "$1" .tar)
    [ -e "$locked" ] || fail "no $locked; make it with: scripts/bundle.sh --target $target --lock"
    pinned=$(<"$build_lock")
    make_venv .venv-bundle "$python" --
    mapfile -t platform < <(platforms "$target")
    build_wheel .venv-bundle/bin/python "$work/ours"
    fill "$folder"
    mkdir -p "$out"
    pack "$folder" "$1"
    log "$(stat -c %s "$1" | numfmt --to=si)B, $(find "$folder/wheelhouse" -name '*.whl' | wc -l) wheels"
}

main() {
    local file
    read_arguments "$@"
    locked=scripts/locks/$target.txt
    python=$(find_python 11 12 13) || fail "no Python 3.11 to 3.13 with venv; 'sudo apt install python3 python3-venv'"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    if [ ${#files[@]} -gt 0 ]; then
        sign_files "${files[@]}"
        return
    fi
    git rev-parse --git-dir >/dev/null 2>&1 || fail "not a git repository; a bundle is made from a clone"
    source=$work/source
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
    export SOURCE_DATE_EPOCH
    read_release
    if [ -n "$only_lock" ]; then
        lock_all ${target:+"$target"}
        return
    fi
    file=$out/emotion-edge-$release-$target.tar
    # One that is there may be unsigned or signed with another key.
    if [ -e "$file" ] && [ -z "$key" ]; then log "it exists already"; else make_bundle "$file"; fi
    echo "$file"
}

target='' out=$PWD/dist model='' only_lock='' key='' files=() # command line
main "$@"
