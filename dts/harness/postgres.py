# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""A PostgreSQL server of the test's own: Debian's, in a directory that goes away with it, run by
the user postgres, on a socket of its own and a port of the loopback."""

import contextlib
import csv
import glob
import io
import os
import pathlib
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading

from .patience import patience, wait_until
from .sockets import free_port

PASSWORD = "correct horse"
_RESET = struct.pack("ii", 1, 0)
_PG_CTL_S = str(patience(50))  # It gives up before who runs it does.


def _bin():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    assert found, "PostgreSQL is not there; tools/test.sh installs what is needed"
    return pathlib.Path(found[-1])


def certificate_of(name, directory):
    """A certificate for @name, signed by itself, and its key. Returns both files."""
    certificate, key = (pathlib.Path(directory) / f"{name}.{kind}" for kind in ("crt", "key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", certificate],
                   check=True, stdin=subprocess.DEVNULL, capture_output=True,
                   timeout=patience(60))
    key.chmod(0o600)
    return certificate, key


def _directory():
    """In memory, where there is room: tests kill the server and not the machine, and a commit need
    not wait for a slow disk."""
    memory = pathlib.Path("/dev/shm")
    has_room = memory.is_dir() and shutil.disk_usage(memory).free >= 1 << 30
    return pathlib.Path(tempfile.mkdtemp(prefix="sluice-pg-", dir=memory if has_room else None))


class Postgres:
    """`with Postgres() as server:`; the database and the role of the sink are both "sluice"."""

    def __init__(self):
        self.bin = _bin()
        self.user = pwd.getpwnam("postgres")
        self.port = free_port()
        self.path = _directory()
        self.log = self.path / "log"
        self._nb_schemas = 0

    def __enter__(self):
        os.chown(self.path, self.user.pw_uid, self.user.pw_gid)
        try:
            self._run("initdb", "-D", self.path / "data", "-U", "postgres", "--auth=trust",
                      "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
            self.start()
            self.admin(f"CREATE ROLE sluice LOGIN PASSWORD '{PASSWORD}'", "postgres")
            self.admin("CREATE DATABASE sluice OWNER sluice", "postgres")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop("immediate")
        shutil.rmtree(self.path, ignore_errors=True)

    def _run(self, program, *args):
        return subprocess.run([self.bin / program, *args], user=self.user.pw_uid,
                              group=self.user.pw_gid, extra_groups=[], cwd=self.path, check=True,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=patience(60))

    def start(self):
        # Detached from the pipes of who waits for pg_ctl.
        subprocess.run([self.bin / "pg_ctl", "-D", self.path / "data", "-l", self.log, "-w", "-s",
                        "-t", _PG_CTL_S,
                        "-o", f"-c unix_socket_directories={self.path} -c port={self.port} "
                        "-c listen_addresses=127.0.0.1 -c shared_buffers=64MB "
                        "-c max_connections=40", "start"],
                       user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[],
                       cwd=self.path, check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=patience(60))

    def stop(self, mode="fast"):
        """@mode: fast, or immediate, which is a crash."""
        self._run("pg_ctl", "-D", self.path / "data", "-m", mode, "-w", "-s", "-t", _PG_CTL_S,
                  "stop")

    def pid(self):
        return int((self.path / "data" / "postmaster.pid").read_text().split()[0])

    @contextlib.contextmanager
    def stopped(self):
        """Every process of the server stands still."""
        pids = [self.pid()]
        # Who makes processes first; those there are may end meanwhile.
        os.kill(pids[0], signal.SIGSTOP)
        pids += map(int, subprocess.run(["pgrep", "-P", str(pids[0])], capture_output=True,
                                        text=True, check=True).stdout.split())
        for pid in pids[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def serve_tls(self, name):
        """From now on, with a certificate of its own making for @name, which is returned."""
        certificate, key = certificate_of(name, self.path)
        for path in (certificate, key):
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self.admin(f"ALTER SYSTEM SET ssl_cert_file = '{certificate}'; ")
        self.admin(f"ALTER SYSTEM SET ssl_key_file = '{key}'; ")
        self.admin("ALTER SYSTEM SET ssl = on; ")
        self.admin("SELECT pg_reload_conf()")
        # That asks the server, and does not wait until it has.
        wait_until(lambda: self.admin("SHOW ssl") == [["on"]], 20, self.log.read_text)
        return certificate

    def passfile(self, path, password=PASSWORD, port=None):
        """Write a password file; at once, as an editor does."""
        new = pathlib.Path(path).with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(f"*:{port or self.port}:sluice:sluice:{password}\n")
        return new.rename(path)

    def end_connections(self):
        """Of the sink's role, in the server."""
        self.admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                   "WHERE usename = 'sluice'")

    def conninfo(self, schema=None, port=None, **more):
        """By TCP, with a password in the string. @schema: of the tables. A word is left out when
        its value is None."""
        words = {"host": "127.0.0.1", "port": port or self.port, "dbname": "sluice",
                 "user": "sluice", "password": f"'{PASSWORD}'", **more}
        if schema is not None:
            words["options"] = f"'-c search_path={schema}'"
        return " ".join(f"{key}={value}" for key, value in words.items() if value is not None)

    def schema(self):
        """The name of a new one."""
        self._nb_schemas += 1
        name = f"test{self._nb_schemas}"
        self.admin(f"CREATE SCHEMA {name} AUTHORIZATION sluice")
        return name

    def admin(self, sql, database="sluice", schema="public"):
        """Rows as lists of strings; what is NULL is None."""
        done = subprocess.run(
            [self.bin / "psql", "-X", "--csv", "-t", "-v", "ON_ERROR_STOP=1", "-P", "null=\\N",
             "-h", self.path, "-p", str(self.port), "-U", "postgres", "-d", database],
            input=sql, env={**os.environ, "PGOPTIONS": f"-c search_path={schema}",
                            "PGTZ": "UTC"},
            capture_output=True, text=True, timeout=patience(60), check=False)
        assert done.returncode == 0, done.stderr
        return [[None if cell == "\\N" else cell for cell in row]
                for row in csv.reader(io.StringIO(done.stdout))]


class Cut:
    """A port that leads to another one, until it is cut: then nothing comes through, and nobody is
    told. @namespace: that it listens in, at @address."""

    def __init__(self, port, namespace=None, address="127.0.0.1"):
        self.target = port
        with namespace.entered() if namespace is not None else contextlib.nullcontext():
            self._listener = socket.create_server((address, 0))
        self.port = self._listener.getsockname()[1]
        self._there, self._back = threading.Event(), threading.Event()
        self.mend()
        self._is_over = False
        self._sockets = set()
        self.bytes = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._is_over = True
        self.mend()
        self._listener.close()
        self.drop()

    def cut(self):
        self._there.clear()
        self._back.clear()

    def hold_answers(self):
        """What is said to the server still comes there."""
        self._back.clear()

    def mend(self):
        self._there.set()
        self._back.set()

    def drop(self):
        """End all connections; what is on its way is lost."""
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                sock.shutdown(socket.SHUT_RDWR)

    def wait_bytes(self, count, timeout=20.0):
        """Until so many bytes went to the server."""
        wait_until(lambda: self.bytes >= count, timeout,
                   lambda: f"{self.bytes} of {count} bytes", every=0.001)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near):
        self._there.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            near.close()
            return
        self._sockets |= {near, far}
        threading.Thread(target=self._pump, args=(near, far, self._there), daemon=True).start()
        self._pump(far, near, self._back)

    def _pump(self, one, other, is_open):
        with contextlib.suppress(OSError):
            while not self._is_over and (data := one.recv(65536)):
                is_open.wait()
                other.sendall(data)
                if is_open is self._there:
                    self.bytes += len(data)
        for sock in (one, other):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._sockets.discard(one)
        one.close()
