#!/usr/bin/env bash
# make.sh FOLDER: makes FOLDER/python, which runs Python 3.11 for 64-bit Arm with all that selfcodec needs to encode and
# decode, emulated on x86-64. Everything lies in FOLDER: nothing is installed, and nobody has to be root.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
mkdir -p "$1" && cd "$1"
here=$PWD
trap 'echo "Python for Arm could not be made: see above which of Debian'\''s packages or PyPI'\''s could not be had" >&2' ERR

for command in apt-get dpkg-deb "${PYTHON:=python3}"; do
    command -v "$command" > /dev/null || { echo "emulating Arm takes $command" >&2; exit 1; }
done

# Debian 12 has Python 3.11. An apt of its own, which takes no package for installed, finds what that depends on.
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e $keys ] || { echo "emulating Arm takes Debian's keys, $keys: apt-get install debian-archive-keyring" >&2; exit 1; }
mkdir -p apt/lists/partial apt/archives/partial root
: > apt/status
echo "deb [signed-by=$keys] http://deb.debian.org/debian bookworm main" > apt/sources.list
cat > apt/conf << END
Dir::Etc::SourceList "$here/apt/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$here/apt/lists";
Dir::State::Status "$here/apt/status";
Dir::Cache "$here/apt";
APT::Architecture "arm64";
APT::Architectures {"arm64"; "amd64";};
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
END
export APT_CONFIG=$here/apt/conf
apt-get update -qq --error-on=any
apt-get install -y -qq --no-install-recommends --download-only python3.11 libstdc++6 qemu-user-static:amd64
for package in apt/archives/*_{arm64,all}.deb; do
    dpkg-deb -x "$package" root
done
dpkg-deb --fsys-tarfile apt/archives/qemu-user-static_*.deb | tar -x --strip-components=3 ./usr/bin/qemu-aarch64-static

# The versions that are tested everywhere, but for torch: PyPI's later wheels for Arm are made for CUDA.
sed '/^torch==/d' "$root/constraints.txt" > constraints.txt
"$PYTHON" -m pip install -q --target site --upgrade --no-deps --no-compile -c constraints.txt \
    --python-version 3.11 --implementation cp --only-binary=:all: \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
    torch==2.9.1 filelock fsspec jinja2 markupsafe mpmath networkx sympy typing_extensions \
    numba llvmlite numpy pillow safetensors scipy threadpoolctl

# oneDNN takes the newest processor that is emulated for one whose instructions are not all there.
cat > python << 'END'
#!/bin/sh
here=$(dirname "$(realpath "$0")")
export QEMU_CPU=cortex-a72 OMP_NUM_THREADS=1
export PYTHONHOME="$here/root/usr" PYTHONPATH="$here/site:$PYTHONPATH"
export PYTHONPYCACHEPREFIX="$here/pycache" NUMBA_CACHE_DIR="$here/numba"
exec "$here/qemu-aarch64-static" -L "$here/root" "$here/root/usr/bin/python3.11" "$@"
END
chmod +x python
rm -r apt
