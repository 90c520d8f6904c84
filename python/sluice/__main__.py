# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""python3 -m sluice pub|sub: messages from a shell."""

import argparse
import json
import pathlib
import signal
import sys

from .address import parse_address
from .consumer import Consumer
from .publisher import Closed, Publisher


def arguments():
    parser = argparse.ArgumentParser(
        prog="python3 -m sluice", description="Send messages to a Sluice appliance, or be a backend.")
    commands = parser.add_subparsers(dest="command", required=True)

    pub = commands.add_parser("pub", help="send messages, and wait until they are durable")
    pub.add_argument("-a", "--appliance", action="append", required=True, metavar="HOST[:PORT]",
                     help="port 7500 unless given; more than one: to fail over to")
    pub.add_argument("-s", "--source", required=True, metavar="NAME")
    pub.add_argument("-d", "--destination", required=True, metavar="NAME")
    pub.add_argument("-t", "--type", default="", metavar="NAME")
    pub.add_argument("-p", "--priority", type=int, default=0, metavar="CLASS",
                     help="1 is served first, 8 last; the destination's default unless given")
    pub.add_argument("-i", "--id", metavar="TEXT", help="of the message; made up unless given")
    what = pub.add_mutually_exclusive_group(required=True)
    what.add_argument("-m", "--message", metavar="TEXT", help="send this")
    what.add_argument("-f", "--file", metavar="FILE", help="send what is in a file; -: standard input")
    what.add_argument("-l", "--lines", action="store_true",
                      help="send each line of standard input as a message")
    pub.add_argument("-W", "--timeout", type=float, metavar="SECONDS",
                     help="give up when it is not all durable after so long; exit code 2")

    sub = commands.add_parser("sub", help="be a backend: print messages, and acknowledge them")
    sub.add_argument("-b", "--bind", default="0.0.0.0:9001", metavar="HOST:PORT",
                     help="as the configuration has it; 0.0.0.0:9001")
    sub.add_argument("-C", "--count", type=int, metavar="N", help="end after so many")
    sub.add_argument("-W", "--timeout", type=float, metavar="SECONDS",
                     help="end when none comes for so long; exit code 2")
    sub.add_argument("-c", "--credit", type=int, default=256, metavar="N",
                     help="messages that may be here and not printed; 256")
    form = sub.add_mutually_exclusive_group()
    form.add_argument("-v", "--verbose", action="store_true",
                      help="id, source, destination and type in front of the payload")
    form.add_argument("--json", action="store_true", help="a JSON object a line")
    options = parser.parse_args()
    if options.command == "pub" and options.lines and options.id is not None:
        pub.error("--id is for one message, not for --lines")
    return options


def publish(options):
    with Publisher(*options.appliance, source=options.source) as publisher:
        def send(payload):
            publisher.submit(options.destination, payload, type=options.type, id=options.id,
                             priority=options.priority)
        if options.lines:
            for line in sys.stdin.buffer:
                send(line.rstrip(b"\r\n"))
        elif options.file == "-":
            send(sys.stdin.buffer.read())
        elif options.file is not None:
            send(pathlib.Path(options.file).read_bytes())
        else:
            send(options.message)
        publisher.flush(options.timeout)
    return 0


def as_text(message, options):
    if options.json:
        return json.dumps({
            "id": f"{message.id:032x}", "id_text": message.id_text,
            "source": f"{message.source:016x}", "destination": f"{message.destination:016x}",
            "type": f"{message.type:016x}", "priority": message.priority,
            "timestamp_ns": message.timestamp_ns,
            "payload": message.payload.decode("utf-8", "backslashreplace")}).encode()
    if options.verbose:
        ident = message.id_text or f"{message.id:032x}"
        return (f"{ident} {message.source:016x} {message.destination:016x} {message.type:016x} "
                .encode() + message.payload)
    return message.payload


def subscribe(options):
    host, port = parse_address(options.bind, 9001)
    left = options.count if options.count is not None else float("inf")
    with Consumer(host, port, credit=options.credit) as consumer:
        while left > 0:
            message = consumer.get(options.timeout)
            if message is None:
                raise TimeoutError(f"no message within {options.timeout} s")
            sys.stdout.buffer.write(as_text(message, options) + b"\n")
            # It is acknowledged when the next one is asked for.
            sys.stdout.buffer.flush()
            left -= 1
    return 0


def stop(*_):
    raise KeyboardInterrupt


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, stop)
    try:
        return publish(options) if options.command == "pub" else subscribe(options)
    except KeyboardInterrupt:
        return 130
    except TimeoutError as error:
        print(f"sluice {options.command}: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError, Closed) as error:
        print(f"sluice {options.command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
