#!/bin/sh
# Stands in for the Temporal CLI: tells a version, and serves.
case $1 in
--version) STAND_IN=version exec STAND_INS ;;
server) STAND_IN=temporal exec STAND_INS "$@" ;;
esac
