#!/bin/sh
# Makes the image pglab/debian:trixie from Debian's packages, where debian:trixie-slim cannot be pulled.
# All images of docker/ are built from it where it is present. Needs mmdebstrap (apt-get install mmdebstrap),
# root, and a Docker engine. Certificates that this machine trusts besides Debian's own (of a company's proxy, say)
# are in it, for images that fetch more than Debian's packages.
set -eu
command -v mmdebstrap >/dev/null || { echo "mmdebstrap is missing (apt-get install mmdebstrap)" >&2; exit 3; }
mirror=${1:-http://deb.debian.org/debian}
own=/usr/local/share/ca-certificates
mmdebstrap --variant=apt --customize-hook="[ ! -d $own ] || cp -R $own/. \"\$1$own\"" trixie - "$mirror" | docker import - pglab/debian:trixie
