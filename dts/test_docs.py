# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""What the documents say, held against the code: events, drop reasons, commands, links."""

import re
import shlex
import subprocess

import pytest

from harness import BUILD, ROOT
from harness.patience import patience

SLUICECTL = BUILD / "app" / "sluicectl" / "sluicectl"
DOCUMENTS = sorted(path.relative_to(ROOT) for path in
                   [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("tools/**/*.md"),
                    *ROOT.glob("drivers-config/*.md")])
# Where events are raised; each takes level and kind as its second and third argument.
RAISES = re.compile(r"\b(?:sl_notify|check_event|hooks[.>-]+event|sink_event|gw_listener_tell|"
                    r"engine->params\.event)\(")


def arguments(text, at):
    """The arguments of the call whose opening bracket is right before @at."""
    depth, is_string, begin, found = 1, False, at, []
    while depth > 0:
        char = text[at]
        if is_string:
            at += char == "\\"
            is_string = char != '"'
        elif char == '"':
            is_string = True
        elif char == "," and depth == 1:
            found.append(text[begin:at])
            begin = at + 1
        else:
            depth += (char == "(") - (char == ")")
        at += 1
    return [*found, text[begin:at - 1]]


def raised():
    """{kind: levels} of all events in the code."""
    kinds = {}
    for path in [*ROOT.glob("lib/**/*.c"), *ROOT.glob("app/**/*.c")]:
        text = path.read_text()
        for call in RAISES.finditer(text):
            _, level, kind, *_ = arguments(text, call.end())
            names = re.findall(r'"(\w+)"', kind)
            # What hands a kind on, or declares that it does, has it from another call.
            assert names or re.search(r"\bkind$", kind), f"{path}: {kind}"
            for name in names:
                kinds.setdefault(name, set()).update(re.findall(r"SL_LEVEL_(\w+)", level.upper()))
    return kinds


def table(document, heading):
    """The rows of the tables under a heading of a document, as lists of cells."""
    section = (ROOT / document).read_text().split(f"# {heading}\n")[1]
    section = re.split(r"^#+ ", section, flags=re.M)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in section.splitlines() if line.startswith("|")]
    return [row for row in rows if "`" in row[0]]


def test_every_kind_of_event_is_in_the_table():
    documented = {row[0].strip("`"): set(row[1].upper().split(", "))
                  for row in table("docs/events.md", "Kinds")}
    kinds = raised()
    assert len(kinds) >= 8
    assert documented.keys() == kinds.keys()
    for kind, levels in documented.items():
        assert levels <= kinds[kind], f"{kind}: {kinds[kind]} in the code, {levels} in the table"


@pytest.mark.parametrize("what, heading", [("FRAME", "Why a frame was dropped"),
                                           ("MESSAGE", "Why a message was dropped")])
def test_every_drop_reason_is_in_the_table(what, heading):
    text = (ROOT / "lib/datapath/sl_drop.h").read_text()
    names = re.search(rf"define SL_{what}_DROP_LIST\(X\)((?:.*\\\n)*.*)", text).group(1)
    documented = [name for row in table("docs/statistics.md", heading)
                  for name in re.findall(r"`(\w+)`", row[0])]
    assert documented == re.findall(r"X\((\w+)\)", names)


def commands():
    """(document, command) of all lines of code that begin with sluicectl, and of the words in
    running text that are commands."""
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S):
            for line in re.findall(r"^(?:\$ )?(?:sudo )?(?:build/app/sluicectl/)?sluicectl (.*)",
                                   block, re.M):
                yield document, re.split(r"\s+#|\s[|>]", line)[0]
        text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        for line in re.findall(r"`sluicectl ([^`]*)`", text):
            yield document, re.split(r"\s[|>]", line)[0]
        if document.name != "cli.md":
            yield from ((document, line) for line in re.findall(
                r"`((?:show|explain|trace|set|clear|reload|save) [^`|]*)`", text))


@pytest.mark.parametrize("document, command", sorted(set(
    (str(document), command) for document, command in commands() if "[" not in command)))
def test_the_commands_of_the_documents_are_commands(document, command, tmp_path):
    batch = re.search(r"-f (\S+)", command)
    if batch:
        (tmp_path / batch.group(1)).write_text("show stats\n")
    done = subprocess.run([SLUICECTL, "--socket", tmp_path / "none", *shlex.split(command)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=tmp_path,
                          timeout=patience(20))
    # Understood, and then there was nobody to ask. What needs nobody succeeds.
    assert done.returncode in (0, 3), f"{document}: {command}: {done.stdout}{done.stderr}"


def anchors(path):
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document):
    text = re.sub(r"^```.*?^```", "", (ROOT / document).read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / document).parent / name if name else ROOT / document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target
