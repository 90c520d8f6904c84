# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""python3 -m sluice pub|sub: messages from a shell."""

import argparse
import json
import pathlib
import signal
import socket
import sys
import time

from .address import parse_address
from .consumer import Consumer
from .publisher import Closed, Publisher


def arguments():
    parser = argparse.ArgumentParser(
        prog="python3 -m sluice", description="Send messages to a Sluice appliance, or be a "
        "backend. The options are those of sluice-pub and sluice-sub.")
    commands = parser.add_subparsers(dest="command", required=True)

    pub = commands.add_parser("pub", add_help=False,
                              help="send messages, and wait until they are durable")
    pub.add_argument("-h", "--host", default="127.0.0.1", metavar="HOST[:PORT],...",
                     help="the appliances, the first that answers (127.0.0.1)")
    pub.add_argument("-p", "--port", default=7500, metavar="PORT",
                     help="of those that name none (7500)")
    pub.add_argument("-d", "--destination", required=True, metavar="NAME")
    pub.add_argument("-s", "--source", default=socket.gethostname(), metavar="NAME",
                     help="who sends it (this host's name)")
    what = pub.add_mutually_exclusive_group(required=True)
    what.add_argument("-m", "--message", metavar="TEXT", help="the payload")
    what.add_argument("-f", "--file", metavar="FILE",
                      help="the payload is a file; - is standard input")
    what.add_argument("-l", "--lines", action="store_true",
                      help="each line of standard input is a message")
    pub.add_argument("-t", "--type", default="", metavar="NAME", help="its type (the empty name)")
    pub.add_argument("-P", "--priority", type=int, default=0, metavar="CLASS",
                     help="1 (first) .. 8; 0 is the destination's default (0)")
    pub.add_argument("-i", "--id", metavar="TEXT",
                     help="its id (a new one); of several messages TEXT-1, TEXT-2, ...")
    pub.add_argument("-W", "--timeout", type=float, default=10, metavar="SECONDS",
                     help="a message that is not durable by then has failed (10)")
    pub.add_argument("--help", action="help", help="print this and exit")

    sub = commands.add_parser("sub", add_help=False,
                              help="be a backend: print messages, and acknowledge them")
    sub.add_argument("-h", "--host", default="", metavar="ADDRESS[:PORT]",
                     help="listen there (any address)")
    sub.add_argument("-p", "--port", default=7600, metavar="PORT", help="and at this port (7600)")
    sub.add_argument("-C", "--count", type=int, metavar="N", help="end after so many messages")
    sub.add_argument("-W", "--timeout", type=float, metavar="SECONDS", help="end after so long")
    sub.add_argument("--window", type=int, default=256, metavar="N",
                     help="messages of a session on their way or in work (256)")
    sub.add_argument("--accept-from", metavar="ADDRESS,...",
                     help="listen to these only (anybody)")
    form = sub.add_mutually_exclusive_group()
    form.add_argument("-v", "--verbose", action="store_true",
                      help="id, source, destination and type in front of the payload")
    form.add_argument("-j", "--json", action="store_true", help="print a message as a line of JSON")
    sub.add_argument("--help", action="help", help="print this and exit")
    return parser.parse_args()


def payloads(options):
    if options.lines:
        for line in sys.stdin.buffer:
            yield line.rstrip(b"\r\n")
    elif options.file == "-":
        yield sys.stdin.buffer.read()
    elif options.file is not None:
        yield pathlib.Path(options.file).read_bytes()
    else:
        yield options.message


def publish(options):
    appliances = [parse_address(host, options.port) for host in options.host.split(",")]
    with Publisher(*appliances, source=options.source,
                   message_timeout_s=options.timeout or None) as publisher:
        for number, payload in enumerate(payloads(options), 1):
            ident = options.id
            if ident is not None and options.lines:
                ident = f"{ident}-{number}"
            publisher.submit(options.destination, payload, type=options.type, id=ident,
                             priority=options.priority)
        publisher.flush(options.timeout)
        if failed := publisher.stats["failed"]:
            raise TimeoutError(f"{failed} messages not durable within {options.timeout} s")
    return 0


def as_text(message, options):
    if options.json:
        fields = {
            "id": f"{message.id:032x}", "id_text": message.id_text,
            "source": f"{message.source:016x}", "destination": f"{message.destination:016x}",
            "type": f"{message.type:016x}", "priority": message.priority,
            "timestamp_ns": message.timestamp_ns}
        try:
            fields["payload"] = message.payload.decode()
        except UnicodeDecodeError:
            fields["payload_hex"] = message.payload.hex()
        return json.dumps(fields).encode()
    if options.verbose:
        ident = message.id_text or f"{message.id:032x}"
        return (f"{ident} {message.source:016x} {message.destination:016x} {message.type:016x} "
                .encode() + message.payload)
    return message.payload


def subscribe(options):
    host, port = parse_address(options.host, options.port)
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    left = options.count if options.count is not None else float("inf")
    with Consumer(host, port, credit=options.window,
                  accept_from=options.accept_from) as consumer:
        while left > 0:
            message = consumer.get(deadline and max(0.0, deadline - time.monotonic()))
            if message is None:
                break
            sys.stdout.buffer.write(as_text(message, options) + b"\n")
            # It is acknowledged when the next one is asked for.
            sys.stdout.buffer.flush()
            left -= 1
    if left > 0 and options.count is not None:
        raise TimeoutError(f"{options.count - left} of {options.count} messages within "
                           f"{options.timeout} s")
    return 0


def stop(*_):
    raise KeyboardInterrupt


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, stop)
    try:
        return publish(options) if options.command == "pub" else subscribe(options)
    except KeyboardInterrupt:
        return 1 if options.command == "pub" else 0
    except (OSError, ValueError, Closed) as error:
        print(f"sluice {options.command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
