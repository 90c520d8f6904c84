#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Write the seeds of fuzz_control: one file a case, named after it.

    tests/fuzz/make_control_corpus.py

Run it again when the control API gains a request or a view.
"""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "dts"))

from harness.control import control_pb2 as pb  # noqa: E402
from harness.control import frame  # noqa: E402

CORPUS = ROOT / "tests" / "fuzz" / "corpus" / "control"

SHOWS = [["version"], ["stats"], ["classes"], ["drops"], ["dedup"], ["queues"], ["destinations"],
         ["destination", "table1"], ["backends", "table1"], ["health", "table1", "a"],
         ["neighbours"], ["ports"], ["port", "all", "info"], ["port", "net0", "xstats"],
         ["lcores"], ["graph"], ["nodes"], ["config"], ["events", "3"], ["views"], ["live"]]

EDITS = {
    "add-backend": [pb.Edit(operation="ADD", object="BACKEND", destination="table1", backend="c",
                            settings=[pb.Setting(key="address", value="10.0.0.4"),
                                      pb.Setting(key="port", value="9001")])],
    "add-destination": [pb.Edit(operation="ADD", object="DESTINATION", destination="table2")],
    "set-weight": [pb.Edit(operation="SET", object="BACKEND", destination="table1", backend="b",
                           settings=[pb.Setting(key="weight", value="9")])],
    "set-class": [pb.Edit(operation="SET", object="CLASS", number=2,
                          settings=[pb.Setting(key="min_share_percent", value="20")])],
    "add-rule": [pb.Edit(operation="ADD", object="RULE",
                         settings=[pb.Setting(key="type", value="lunch"),
                                   pb.Setting(key="class", value="low")])],
    "del-rule": [pb.Edit(operation="DEL", object="RULE", number=1)],
    "del-all": [pb.Edit(operation="DEL", object="BACKEND", destination="table1", backend="a"),
                pb.Edit(operation="DEL", object="DESTINATION", destination="table1")],
}


def request(**command):
    return frame(pb.Request(version=1, id=7, **command).SerializeToString())


seeds = {"show-" + "-".join(words): request(show=pb.Show(view=words[0], arguments=words[1:]))
         for words in SHOWS}
seeds |= {"change-" + name: request(change=pb.Change(edits=edits))
          for name, edits in EDITS.items()}
seeds |= {
    "load": request(load=pb.Load(check_only=True)),
    "save": request(save=pb.Save(file="here.yaml")),
    "stop": request(path=pb.Path(action="STOP")),
    "explain": request(explain=pb.Explain(source="server1", destination="table1", priority=2)),
    "trace": request(trace=pb.Trace(by="ID", value="0" * 32, count=1)),
    "clear": request(clear=pb.Clear(what="ALL")),
    "clear-port": request(clear=pb.Clear(what="PORT", name="net0")),
    "clear-destination": request(clear=pb.Clear(what="DESTINATION", name="table1")),
    "empty": request(),
    "version-2": frame(pb.Request(version=2).SerializeToString()),
    "clear-then-change": request(clear=pb.Clear(what="ALL")) +
    request(change=pb.Change(edits=EDITS["del-all"])) + request(show=pb.Show(view="stats")),
    "length-beyond-end": b"\0\0\xff\xff\x08\x01",
}

CORPUS.mkdir(parents=True, exist_ok=True)
for name, data in seeds.items():
    (CORPUS / name).write_bytes(data)
