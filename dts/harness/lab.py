# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The bench a test works on: a namespace with the appliance, one with everybody else, and veths."""

import contextlib

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

from . import config as conf
from . import netns, sockets, wire
from .appliance import Appliance

SENDER = "10.77.0.100"
SENDER6 = "fd00:77::100"


def appliance_mac(port):
    return f"02:00:00:00:{port:02x}:01"


def peer_mac(port):
    return f"02:00:00:00:{port:02x}:02"


APPLIANCE_MAC = appliance_mac(0)
PEER_MAC = peer_mac(0)


class Lab:
    """Veth pairs from the appliance's namespace to the peers', one a port.

    By default the kernel of the peer side owns @addresses and answers ARP and ping for them. With
    addresses=() nobody does: then a test plays the neighbours itself, frame by frame. IPv6 is
    switched on in the peer side by an IPv6 address among them, and only then.
    """

    def __init__(self, addresses=(f"{SENDER}/24",), mtu=1500, nb_ports=1):
        with contextlib.ExitStack() as undo:
            self.inside = undo.enter_context(contextlib.closing(netns.Namespace("app")))
            self.outside = undo.enter_context(contextlib.closing(netns.Namespace("peer")))
            self.raws = []
            for n in range(nb_ports):
                netns.connect(self.inside, f"net{n}", appliance_mac(n),
                              self.outside, f"peer{n}", peer_mac(n), mtu)
                self.raws.append(undo.enter_context(
                    contextlib.closing(sockets.RawPort(self.outside, f"peer{n}"))))
            for address in addresses:
                self.add_address(address)
            if any("." in address for address in addresses):
                self._introduce()
            self._stack = undo.pop_all()
        self.raw = self.raws[0]
        self.is_kernel_peer = bool(addresses)
        self.devices = [f"net_af_packet{n},iface=net{n},framecnt=4096" for n in range(nb_ports)]
        self._sender = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _introduce(self):
        """The peer side's kernel has heard of the appliance, and asks it when it cares to. One that
        asks first lets what it is sent meanwhile be overtaken by what comes after the answer."""
        self.outside.ip("neighbour", "add", conf.ADDRESS, "lladdr", appliance_mac(0),
                        "dev", "peer0", "nud", "stale")

    def add_address(self, address, interface="peer0"):
        """Give the peer side's kernel one more address, such as "10.77.0.11/24"."""
        if ":" in address:
            self.outside.enable_ipv6(interface)
            self.outside.ip("address", "add", address, "dev", interface, "nodad")
        else:
            self.outside.ip("address", "add", address, "dev", interface)

    def ensure_address(self, address):
        if f" {address}/" not in self.outside.ip("-o", "address", "show"):
            self.add_address(f"{address}/64" if ":" in address else f"{address}/24")

    def appliance(self, config=None, **kwargs):
        """The appliance on this bench. The peers are there for it: as addresses of their kernel,
        or, where there is no kernel, as configured neighbours."""
        config = config or conf.make_config()
        peers = conf.on_subnet(config)
        if self.is_kernel_peer:
            for address in peers:
                self.ensure_address(address)
        elif "neighbours" not in config:
            config = {**config, "neighbours": [
                {"address": address, "mac": peer_mac(port)} for address, port in peers.items()]}
        kwargs.setdefault("vdevs", self.devices)
        return Appliance(config, namespace=self.inside, **kwargs)

    def receiver(self, number=1, port=9001):
        """The backend of tableN: a kernel socket on 10.77.0.(10 + N)."""
        return self._receiver(f"10.77.0.{10 + number}", port)

    def receiver6(self, number=1, port=9001):
        """The backend of tableN in IPv6."""
        return self._receiver(conf.kitchen6(number), port)

    def _receiver(self, address, port):
        self.ensure_address(address)
        return sockets.Receiver(self.outside, address, port)

    def send(self, *messages, **header):
        """Send one datagram with @messages from a kernel socket of the peer side."""
        self.send_bytes(wire.encode(*messages, **header))

    def send_bytes(self, data, port=wire.PORT):
        if self._sender is None:
            self._sender = self._stack.enter_context(contextlib.closing(self.udp_socket()))
        self._sender.sendto(data, (conf.ADDRESS, port))

    def send6(self, *messages, **header):
        """Send one datagram with @messages from a kernel socket of the peer side, by IPv6."""
        with contextlib.closing(sockets.udp_socket(self.outside, SENDER6)) as sender:
            sender.sendto(wire.encode(*messages, **header), (conf.ADDRESS6, wire.PORT))

    def udp_socket(self, address=SENDER):
        """One more sender's socket."""
        return sockets.udp_socket(self.outside, address)



def frame(payload, src=SENDER, dst=conf.ADDRESS, sport=40000, dport=wire.PORT, vlan=0,
          dst_mac=APPLIANCE_MAC, src_mac=PEER_MAC, ip=None, udp=None):
    """A frame to the appliance as scapy writes it; @ip and @udp override header fields."""
    ether = Ether(dst=dst_mac, src=src_mac)
    if vlan:
        ether /= Dot1Q(vlan=vlan)
    return (ether / IP(src=src, dst=dst, **(ip or {})) /
            UDP(sport=sport, dport=dport, **(udp or {})) / payload)


def frame6(payload, src=SENDER6, dst=conf.ADDRESS6, sport=40000, dport=wire.PORT, vlan=0,
           dst_mac=APPLIANCE_MAC, src_mac=PEER_MAC, ip=None, udp=None):
    """The same over IPv6."""
    ether = Ether(dst=dst_mac, src=src_mac)
    if vlan:
        ether /= Dot1Q(vlan=vlan)
    return (ether / IPv6(src=src, dst=dst, **(ip or {})) /
            UDP(sport=sport, dport=dport, **(udp or {})) / payload)


def is_udp_from_appliance(packet):
    return packet[Ether].src == APPLIANCE_MAC and UDP in packet
