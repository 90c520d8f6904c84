-- SPDX-License-Identifier: BSD-3-Clause
-- Copyright (c) 2026 The Sluice authors
--
-- One measurement without a hand on the keyboard: send the pcap file of port 0 for some seconds,
-- read the counters of both ports while it runs, write them down as JSON, quit.
--
--   SLUICE_SECONDS  how long to measure (10)
--   SLUICE_RATE     percent of Pktgen's idea of the line rate (100)
--   SLUICE_COUNT    frames to send, 0 for no end (0)
--   SLUICE_OUT      where the result goes (pktgen.json)

local seconds = tonumber(os.getenv("SLUICE_SECONDS") or "10")
local rate = tonumber(os.getenv("SLUICE_RATE") or "100")
local count = tonumber(os.getenv("SLUICE_COUNT") or "0")
local out = os.getenv("SLUICE_OUT") or "pktgen.json"

-- Since Pktgen started; its own "rate" is averaged over a second and lags behind.
local function counters()
	local sent = pktgen.portStats("0", "port")[0]
	local received = pktgen.portStats("1", "port")[1]

	return { sent = sent.opackets, tx_errors = sent.oerrors,
		received = received.ipackets, missed = received.imissed }
end

pktgen.stop("all")
pktgen.clr()
pktgen.set("0", "rate", rate)
pktgen.set("0", "burst", 32)
pktgen.set("0", "count", count)
pktgen.pcap("0", "on")
pktgen.delay(1000)

pktgen.start("0")
pktgen.delay(1000) -- the first second warms up
local before = counters()
pktgen.delay(seconds * 1000)
local after = counters()
pktgen.stop("0")
pktgen.delay(2000) -- what is under way arrives, and the last counters are taken over
local total = counters()

local file = assert(io.open(out, "w"))
file:write(string.format(
	'{"seconds":%d,"tx_frames_per_s":%.0f,"rx_frames_per_s":%.0f,"sent":%d,"received":%d,' ..
	'"tx_errors":%d,"missed":%d}\n',
	seconds, (after.sent - before.sent) / seconds, (after.received - before.received) / seconds,
	total.sent, total.received, total.tx_errors, total.missed))
file:close()
pktgen.quit()
