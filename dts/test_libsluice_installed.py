# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The client library in C as it is installed: found by pkg-config, without DPDK, and the programs of
its page do what the page says."""

import os
import re
import shutil
import subprocess

import pytest

from harness import BUILD, ROOT
from harness.patience import patience
from harness.sockets import free_udp_port
from test_libsluice import HOST, Subscriber, at, payloads, publish


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What `meson install` puts there, and compilers that find it by pkg-config."""
    root = tmp_path_factory.mktemp("installed")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root],
                   check=True, capture_output=True)
    found = next(root.rglob("libsluice.pc"))
    prefix = found.read_text().splitlines()[0].partition("=")[2]

    class Installed:
        library = found.parent.parent
        environment = {**os.environ, "PKG_CONFIG_PATH": str(found.parent),
                       "PKG_CONFIG_SYSROOT_DIR": str(root)}

        def compile(self, source, program, compiler="cc", *more):
            flags = subprocess.run(["pkg-config", "--cflags", "--libs", *more, "libsluice"],
                                   env=self.environment, check=True, capture_output=True,
                                   text=True).stdout.split()
            subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", source, "-o", program, *flags,
                            *(["-static-libgcc"] if more else [])], check=True)

        def run(self, program, *args, **options):
            return subprocess.run([program, *args], text=True, timeout=patience(30), **options,
                                  env={**os.environ, "LD_LIBRARY_PATH": str(self.library)})
    assert prefix
    return Installed()


def programs_of_the_page():
    """The C programs of docs/libsluice.md, by the name in their first line."""
    page = (ROOT / "docs" / "libsluice.md").read_text()
    blocks = re.findall(r"```c\n(/\* (\w+)\.c .*?)```", page, re.S)
    return {name: text for text, name in blocks}


def nb_of_lines(program):
    """Without the comment that names it, and empty ones."""
    return sum(bool(line.strip()) for line in program.splitlines()[1:])


def test_the_first_programs_of_the_page_work(installed, tmp_path):
    programs = programs_of_the_page()
    for name, text in programs.items():
        (tmp_path / f"{name}.c").write_text(text)
        installed.compile(tmp_path / f"{name}.c", tmp_path / name)
    assert nb_of_lines(programs["publish"]) <= 10 and nb_of_lines(programs["consume"]) <= 14
    with Subscriber() as sub:
        done = installed.run(tmp_path / "publish", at(sub.address), capture_output=True)
        assert done.returncode == 0, done.stderr
        got, _ = sub.finish()
    assert payloads(got) == ["eggs"]
    address = HOST, free_udp_port()
    with subprocess.Popen([tmp_path / "consume", at(address)], stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "LD_LIBRARY_PATH": str(installed.library)}) as process:
        publish(address, "-m", "eggs")
        assert process.stdout.readline() == "eggs\n"
        process.kill()
    # An event loop of one's own: standard input's lines are published.
    with Subscriber() as sub:
        done = installed.run(tmp_path / "loop", at(sub.address), input="a\nb\n",
                             capture_output=True)
        assert done.returncode == 0, done.stderr
        got, _ = sub.finish()
    assert payloads(got) == ["a\n", "b\n"]


def test_the_library_needs_no_dpdk(installed):
    library = next(installed.library.glob("libsluice.so.0"))
    needed = subprocess.run(["ldd", library], check=True, capture_output=True, text=True).stdout
    assert "librte" not in needed
    symbols = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                             capture_output=True, text=True).stdout.split("\n")
    names = {s.split()[-1].partition("@")[0] for s in symbols if " T " in s}
    declared = set(re.findall(r"\b(sluice_\w+)\(\s*(?:const|struct|void|\w+ \*?\w+[,)])",
                              (ROOT / "libsluice" / "sluice.h").read_text()))
    assert names and all(n.startswith("sluice_") for n in names)
    assert names >= {n for n in declared if not n.endswith("_fn")} - {"sluice_version"}


def test_the_header_is_cpp_and_the_archive_complete(installed, tmp_path):
    source = tmp_path / "a.cc"
    source.write_text('#include <sluice.h>\n#include <cstdio>\n'
                      'int main() { sluice_publisher_options o = {};\n'
                      'sluice_error e; return sluice_publisher_open(&o, &e) || '
                      'e.code != SLUICE_INVALID; }\n')
    assert shutil.which("g++"), "tools/test.sh installs g++"
    installed.compile(source, tmp_path / "a", "g++")
    assert installed.run(tmp_path / "a").returncode == 0
    archive = next(installed.library.glob("libsluice.a"))
    subprocess.run(["g++", source, "-o", tmp_path / "b", f"-I{ROOT}/libsluice", archive,
                    "-lprotobuf-c", "-pthread"], check=True)
    assert subprocess.run([tmp_path / "b"]).returncode == 0
