# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The end-to-end harness: what a test needs, and nothing of what the appliance is made of."""

from .appliance import (BUILD, HUGE_PAGES, NO_HUGE_PAGES, SLUICE, Appliance, Stats, eal_lcores,
                        memory_arguments, reserve_huge_pages)
from .config import (ADDRESS, ADDRESS6, backend, destination, kitchen6, make_config, port, port6,
                     table, table6)
from .control import ControlClient, ControlError, control_pb2
from .gen import MemifLab, Report, VethLab, sink_backend
from .lab import (APPLIANCE_MAC, PEER_MAC, SENDER, SENDER6, Lab, appliance_mac, frame, frame6,
                  is_udp_from_appliance, peer_mac)
from .lines import LineClient, Primary, line_listener
from .lines import connect as line_connect
from .lines import subscriber as line_subscriber
from .netns import Namespace, connect, remove_leftovers
from .servers import Server
from .sockets import RawPort, Receiver, free_port, udp_socket
from .web import HttpClient, Metrics, Relay, listen_args
from .wire import ROOT, datagram, decode, encode, id_of, message, name_key, pb2
