#!/bin/sh
# Stands in for the Temporal CLI: tells a version, and serves.
export HOLD="${0%/*}/../hold"
case "$*" in
*--help) ;;
--version) STAND_IN=version exec STAND_INS ;;
server*) STAND_IN=temporal exec STAND_INS "$@" ;;
esac
