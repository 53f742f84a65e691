#!/bin/sh
# The only unit of the configuration that was broken.
# shellcheck disable=SC1091 # it is there in the machine
. /etc/lib.sh
say 'ok after SIGHUP the mended configuration is started'
say 'done'
kill -INT 1
