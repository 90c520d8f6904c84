#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
#
# Mail each event to an address, its JSON as the text:
#
#   events:
#     exec:
#       - {argv: [/etc/sluice/hooks/mail.sh, ops@example.net], level: warn}
set -eu
to=${1:?usage: $0 ADDRESS}
# One line: what stands after a line break would be a header of its own.
subject=$(printf '[sluice] %s %s: %s' "$SLUICE_EVENT_LEVEL" "$SLUICE_EVENT_KIND" \
	"$SLUICE_EVENT_TEXT" | tr '\r\n' '  ')

{
	printf 'To: %s\nSubject: %s\nContent-Type: application/json\n\n' "$to" "$subject"
	cat
} | "${SENDMAIL:-/usr/sbin/sendmail}" -t
