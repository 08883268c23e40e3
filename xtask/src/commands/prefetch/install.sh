#!/bin/sh
# Copies the lab's crates into cargo's registry, and a checkout of the lab into a folder. Needs no network.
#
#     sh install.sh [FOLDER]    by default ~/temporal-bug-lab; a checkout of the same version may be there already
set -eu
unset CDPATH
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$HOME/temporal-bug-lab}
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
rust=$(sed -n 's/^rust //p' "$here/versions")

fail() {
  echo "error: $1" >&2
  exit 1
}

# The folder, or the one that it will be made in.
nearest=$folder
while [ ! -d "$nearest" ]; do nearest=$(dirname "$nearest"); done
case $(cd "$nearest" && pwd -P)/ in
  "$(cd "$here" && pwd -P)"/*) fail "$folder is in the bundle; name another folder: sh $0 FOLDER" ;;
esac

echo "1 of 4: checking the files of the bundle"
cd "$here"
if command -v sha256sum >/dev/null; then
  sha256sum -c SHA256SUMS >/dev/null || fail "the bundle is damaged; copy it again from the stick"
elif command -v shasum >/dev/null; then
  shasum -a 256 -c SHA256SUMS >/dev/null || fail "the bundle is damaged; copy it again from the stick"
else
  fail "cannot check the bundle, because neither sha256sum nor shasum is installed; install coreutils"
fi

echo "2 of 4: looking for Rust $rust and a C compiler"
# So that rustup does not try to download what is missing.
export RUSTUP_AUTO_INSTALL=0
install="while online, type: rustup toolchain install $rust --profile minimal --component clippy --component rustfmt"
command -v cargo >/dev/null || fail "cargo is not installed; while online, install rustup from https://rustup.rs, then $install"
cd "$here/checkout"
found=$(cargo --version) || fail "Rust $rust is not installed; $install"
case $found in
  "cargo $rust "*) ;;
  *) echo "warning: the bundle was made for Rust $rust, but this is $found" >&2 ;;
esac
command -v cc >/dev/null ||
  fail "no C compiler is installed; Debian, Ubuntu: sudo apt install build-essential; macOS: xcode-select --install"

echo "3 of 4: the crates"
registry=${CARGO_HOME:-$HOME/.cargo}/registry
cd "$here/registry"
# macOS may have added the files that are left out here.
find . -type f ! -name .DS_Store ! -name '._*' | while IFS= read -r file; do
  to=$registry/$file
  # A newer entry of the index has all versions of an older one, and more.
  if [ -e "$to" ] && [ -z "$(find "$file" -newer "$to")" ]; then continue; fi
  mkdir -p "$(dirname "$to")"
  cp -p "$file" "$to.$$"
  mv -f "$to.$$" "$to"
done

echo "4 of 4: the checkout in $folder"
if [ ! -e "$folder" ]; then
  mkdir -p "$(dirname "$folder")"
  rm -rf "$folder.part"
  cp -Rp "$here/checkout" "$folder.part"
  find "$folder.part" -type f \( -name .DS_Store -o -name '._*' \) -exec rm -f {} +
  mv "$folder.part" "$folder"
elif ! cmp -s "$here/checkout/Cargo.lock" "$folder/Cargo.lock"; then
  fail "$folder is not a checkout of this version of the lab; name another folder: sh $0 FOLDER"
fi

cd "$folder"
echo "building cargo xtask, for about a minute"
CARGO_NET_OFFLINE=true cargo xtask prefetch --from "$here"
echo "type it in the checkout: cd $folder"
