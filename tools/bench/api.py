# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""What the appliance says of itself."""

import http.client
import json
import time

from rig import BenchError

TIMEOUT_S = 30


def view(port, name):
    """A view of the API. An answer is kept for a while, longer on a busy CPU: one that tells when it
    was made is asked for until it is a new one."""
    asked, deadline = time.time(), time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", f"/api/v1/{name}")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status == 200:
            shown = json.loads(body)
            if shown.get("time", asked) >= asked:
                return shown
        time.sleep(0.005)
    raise BenchError(f"/api/v1/{name}: no new answer within {TIMEOUT_S} s; see sluice.log")
