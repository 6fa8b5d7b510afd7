#!/usr/bin/env bash
# Make one file with all that a board needs to run this commit, without internet:
#
#   scripts/bundle.sh --target arm64-py3.13 [--out DIR] [--model FILE]     writes DIR/emotion-edge-VERSION-TARGET.tar
#   scripts/bundle.sh --target arm64-py3.13 --lock                         chooses the versions anew; see below
#
# TARGET: arm64-py3.11 (Raspberry Pi OS Bookworm, 64 bit), arm64-py3.13 (Trixie), or x86_64-py3.11 to -py3.13.
# VERSION is that of the package and the commit, as 0.1.0+g1a2b3c4; with the tree's own digest if something is changed
# that is not committed; and with the model's if it is not the shipped one. The same tree gives the same bytes: all that
# comes from elsewhere is named with its hash in scripts/locks/TARGET.txt, which --lock writes.
# The last line on standard output is the file's path.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
. scripts/venv.sh

tools=(pip==26.3 hatchling==1.33.0)
# The system's simplejpeg, a part of its picamera2, was built for another numpy than ours and does not load beside it.
extras=(simplejpeg pip==26.3)
shipped=models/emotion.tflite

usage() {
    echo "usage: scripts/bundle.sh --target arm64-py3.13 [--out DIR] [--model FILE] [--lock]; ${1:-}" >&2
    exit 2
}

# from_here PATH: a path on the command line is the caller's.
from_here() { (cd "$here" && realpath -m -- "$1"); }

tell() { echo "bundle.sh: $1" >&2; }

# version_of_tree: print the package's version and which tree it is.
version_of_tree() {
    local base index tree
    base=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
    base+=+g$(git rev-parse --short=7 HEAD)
    if [ -n "$(git status --porcelain)" ]; then
        index=$work/index
        cp "$(git rev-parse --git-path index)" "$index"
        tree=$(GIT_INDEX_FILE=$index git add --all && GIT_INDEX_FILE=$index git write-tree)
        base+=.dirty.${tree:0:7}
    fi
    echo "$base"
}

# platforms TARGET: print pip's options that choose the wheels of another machine.
platforms() {
    local machine=${1%%-*} python=${1#*-py} glibc
    [ "$machine" = arm64 ] && machine=aarch64
    for glibc in 2_28 2_27 2_17; do echo "--platform=manylinux_${glibc}_$machine"; done
    printf '%s\n' "--platform=manylinux2014_$machine" "--python-version=$python" --implementation=cp --only-binary=:all:
}

# build_wheel FOLDER: our own wheel, of a copy of the tree in which the version is the bundle's.
build_wheel() {
    local copy=$work/source
    mkdir "$copy"
    git ls-files -z --cached --others --exclude-standard edge trainer "$shipped" pyproject.toml README.md LICENSE |
        xargs -0 cp --parents -t "$copy"
    sed -i "s/^version = .*/version = \"$version\"/" "$copy/pyproject.toml"
    .venv-bundle/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --no-cache-dir --wheel-dir "$1" "$copy" >&2
}

# lock: choose the newest versions that our wheel and scripts/constraints.txt allow, and write them down with their hashes.
lock() {
    local folder=$work/locked wheel name number digest
    .venv-bundle/bin/python -m pip download --quiet --dest "$folder" --constraint scripts/constraints.txt \
        "${platform[@]}" "$work"/ours/*.whl "${extras[@]}" >&2
    mkdir -p scripts/locks
    for wheel in "$folder"/*.whl; do
        IFS=- read -r name number _ <<<"$(basename "$wheel")"
        digest=$(sha256sum "$wheel" | cut -d ' ' -f 1)
        [ "$name" = emotion_edge ] || echo "${name//_/-}==$number --hash=sha256:$digest"
    done | sort >"$locked.part"
    mv "$locked.part" "$locked"
    tell "$(wc -l <"$locked") packages written to $locked"
}

# fill FOLDER: all that the bundle holds.
fill() {
    local bundle=$1 wheel
    mkdir -p "$bundle/wheelhouse" "$bundle/tools"
    .venv-bundle/bin/python -m pip download --quiet --no-deps --require-hashes --dest "$bundle/wheelhouse" \
        "${platform[@]}" --requirement "$locked" >&2 ||
        fail "the packages of $locked could not be had; is there a network?"
    mv "$bundle"/wheelhouse/pip-*.whl "$bundle/tools"
    cp "$work"/ours/*.whl "$bundle/wheelhouse"
    wheel=$(echo "$work"/ours/*.whl)
    { grep -v '^pip==' "$locked"; echo "emotion-edge==$version --hash=sha256:$(sha256sum "$wheel" | cut -d ' ' -f 1)"; } \
        >"$bundle/requirements.txt"
    cp -R systemd "$bundle/systemd"
    cp scripts/install.sh "$bundle"
    cp "$model" "$bundle/model.tflite"
    manifest "$bundle" >"$bundle/manifest"
    (cd "$bundle" && find . -type f -printf '%P\0' | sort -z | xargs -0 sha256sum) >"$work/sums"
    mv "$work/sums" "$bundle/SHA256SUMS"
}

manifest() {
    echo "release=$release"
    echo "version=$version"
    echo "target=$target"
    echo "installed_bytes=$(installed_bytes "$1")"
}

# installed_bytes FOLDER: print the room that the wheels take when they are unpacked and compiled; what is compiled takes
# about as much as its source.
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
from edge import card
from edge.errors import ModelError
try:
    card.load(Path(sys.argv[1]))
except ModelError as error:
    sys.exit(f"bundle.sh: error: {error}")' "$1" || exit 78
}

# pack FOLDER FILE: the same bytes for the same content.
pack() {
    local epoch
    epoch=$(git log -1 --format=%ct)
    tar --create --file "$2.part" --directory "$(dirname "$1")" --format=gnu --sort=name --owner=0 --group=0 \
        --numeric-owner --mode=u+rw,go=rX --mtime="@$epoch" "$(basename "$1")"
    mv "$2.part" "$2"
}

target='' out=dist model='' only_lock=
while [ $# -gt 0 ]; do
    case "$1" in
    --lock) only_lock=yes && shift && continue ;;
    --target | --out | --model) [ $# -ge 2 ] || usage "$1 wants a value" ;;
    *) usage "unknown: $1" ;;
    esac
    case "$1" in
    --target) target=$2 ;;
    --out) out=$(from_here "$2") ;;
    --model) model=$(from_here "$2") ;;
    esac
    shift 2
done
[[ $target =~ ^(arm64|x86_64)-py3\.1[123]$ ]] || usage "target is '$target', expected arm64-py3.11, arm64-py3.13 or x86_64-..."
locked=scripts/locks/$target.txt
git rev-parse --git-dir >/dev/null 2>&1 || fail "no git repository here; a bundle is made from a clone"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mapfile -t platform < <(platforms "$target")
version=$(version_of_tree)
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
python=$(find_python 11 12 13) || fail "no Python 3.11 to 3.13 with venv; 'sudo apt install python3 python3-venv'"
[ -z "$model" ] || check_model "$model"
release=$version
if [ -n "$model" ] && ! cmp -s "$model" "$shipped"; then release=$version.m$(sha256sum "$model" | cut -c 1-8); fi
name=emotion-edge-$release-$target
if [ -z "$only_lock" ] && [ -e "$out/$name.tar" ]; then
    tell "it is there already"
    echo "$out/$name.tar"
    exit
fi
[ -n "$only_lock" ] || [ -e "$locked" ] ||
    fail "no $locked; make it with: scripts/bundle.sh --target $target --lock"
make_venv .venv-bundle "$python" -- "${tools[@]}"
build_wheel "$work/ours"
if [ -n "$only_lock" ]; then
    lock
    exit
fi
model=${model:-$shipped}
fill "$work/$name"
mkdir -p "$out"
pack "$work/$name" "$out/$name.tar"
tell "$(stat -c %s "$out/$name.tar" | numfmt --to=si)B, $(find "$work/$name/wheelhouse" -name '*.whl' | wc -l) wheels"
echo "$out/$name.tar"
