# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Messages that wait for backends may have all buffers that are for them, and no more: frames still
come in, better classes too, and what is refused is counted."""

from harness import destination, make_config, message, table
from harness.patience import wait_until

# More than the pool has buffers when it is chosen by itself.
MANY = 90_000
IN_DATAGRAM, AT_ONCE = 15, 900
SLOW = {"rate_msgs_per_s": 1, "burst_msgs": 1, "guarantee": "at-most-once"}


def flood(lab, sluice, numbers, destinations):
    """Send them to the destinations in turn, in pieces that sockets hold."""
    with sluice.control() as control:
        def received():
            return control.show("stats")["received"]

        before = received()
        for at in range(0, len(numbers), AT_ONCE):
            for i in range(at, min(at + AT_ONCE, len(numbers)), IN_DATAGRAM):
                lab.send(*[message(n, destination=destinations[n % len(destinations)], priority=3)
                           for n in numbers[i:i + IN_DATAGRAM]])
            sent = before + min(at + AT_ONCE, len(numbers))
            wait_until(lambda sent=sent: received() >= sent, what=f"{sent} messages")


def assert_it_hears(lab, sluice, number):
    """What is urgent, however much came one by one before it."""
    for n in range(number, number + 2000):
        lab.send(message(n, destination="table1", priority=3))
    with lab.receiver(3) as kitchen:
        lab.send(message(number + 2000, destination="table3", priority=1))
        assert kitchen.take(1)[0].id_low == number + 2000
    with sluice.control() as control:
        def is_all_told():
            counts = control.show("stats")
            dropped = counts["dropped"]
            waiting = sum(row["queued"] + row["parked"] + row["in_flight"]
                          for row in control.show("queues"))
            return dropped["queue_full"] > 0 and \
                counts["received"] == counts["delivered"] + waiting + sum(dropped.values())

        wait_until(is_all_told, what="every message is counted somewhere")


def test_queues_beside_a_topic_leave_buffers_for_frames(lab):
    """There are buffers of their own for its copies, which queues must not count on."""
    config = make_config(table(1, **SLOW), table(2, **SLOW), table(3),
                         destination("news", kind="topic"), mbufs=0)
    with lab.appliance(config) as sluice:
        flood(lab, sluice, range(1, MANY + 1), ["table1", "table2"])
        assert_it_hears(lab, sluice, MANY + 1)


def test_queues_beside_durable_messages_leave_buffers_for_frames(durable):
    """Those go to disk."""
    config = durable.config(table(1, **SLOW), table(2), table(3, guarantee="at-most-once"), mbufs=0)
    with durable.appliance(config) as sluice:
        flood(durable, sluice, range(1, 66_001), ["table1"])
        durable.publish(40_000, "table2", "-P", "2")
        with sluice.control() as control:
            [parked] = [row["parked"] for row in control.show("queues")
                        if row["destination"] == "table2"]
            assert parked > 0
        assert_it_hears(durable, sluice, MANY + 1)
