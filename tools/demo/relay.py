# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""A port of this machine's loopback that leads to one inside a namespace, where no browser goes."""

import contextlib
import errno
import socket
import threading

CLIENTS_MAX = 64


def listen(port):
    """A listener on @port of the loopback or, where that is taken, on a free one."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return socket.create_server(("127.0.0.1", 0))


class Relay:
    """`with Relay(namespace, address, 8090) as relay:` the page is at relay.url."""

    def __init__(self, namespace, address, port):
        self.namespace, self.address = namespace, address
        self._room = threading.BoundedSemaphore(CLIENTS_MAX)
        self._listener = listen(port)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # close() alone would not wake accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _connect(self):
        with self.namespace.entered():
            far = socket.socket()
        far.settimeout(5)
        try:
            far.connect(self.address)
        except OSError:
            far.close()
            raise
        far.settimeout(None)
        return far

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._room.acquire()  # Others wait in the listener's backlog.
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        """One client, from its first byte to the last of the answer."""
        try:
            with near, self._connect() as far:
                back = threading.Thread(target=pump, args=(far, near), daemon=True)
                back.start()
                pump(near, far)
                back.join()
        except OSError:
            pass  # The appliance is not there: the client sees its connection end.
        finally:
            self._room.release()


def pump(one, other):
    """Carry bytes from @one to @other until there are no more, and say so on."""
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)
