# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Somebody who reads all statistics, over and over."""

import http.client
import os
import socket
import threading
import time

PATHS = ("/metrics", "/api/v1/stats")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Scraper:
    """`with Scraper(port, rate, core) as scraper:` reads each of PATHS @rate times a second, from a
    CPU that is not the path's."""

    def __init__(self, port, rate, core):
        self.port, self.rate, self.core = port, rate, core
        self.readings = 0
        self.bytes = 0
        self.errors = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(10)

    def _run(self):
        os.sched_setaffinity(0, {self.core})  # of this thread
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        due = time.monotonic()
        while not self._stop.is_set():
            for path in PATHS:
                try:
                    connection.request("GET", path)
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status != 200:
                        raise OSError(f"{path}: {answer.status}")
                    self.readings += 1
                    self.bytes += len(body)
                except (OSError, http.client.HTTPException) as error:
                    self.errors.append(str(error))
                    connection.close()
            due += 1 / self.rate
            self._stop.wait(max(0, due - time.monotonic()))
        connection.close()
