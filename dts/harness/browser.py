# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""A headless browser, and pages for it on an origin of their own."""

import http.server
import threading

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from .patience import patience, wait_until
from .sockets import free_port


class Browser:
    """One with a page open."""

    def __init__(self, url, width=1280, height=900, scheme="light"):
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        # Tests run as root, which the browser's sandbox does not do.
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu",
                         "--disable-dev-shm-usage", "--hide-scrollbars"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = Service("/usr/bin/chromedriver", port=free_port())
        self.driver = webdriver.Chrome(service=service, options=options)
        self.driver.set_page_load_timeout(patience(30))
        self.resize(width, height)
        self.prefer(scheme)
        self.driver.get(url)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def resize(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})

    def prefer(self, scheme):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def run(self, script, *args):
        return self.driver.execute_script(script, *args)

    def wait(self, condition, timeout=10.0, what=None):
        """The first true value of @condition()."""
        return wait_until(condition, timeout, what or str(condition), every=0.05)

    def errors(self):
        return [line for line in self.driver.get_log("browser") if line["level"] != "INFO"]


class PageServer:
    """A page of this text, and its URL, which ends with "/"."""

    def __init__(self, text="", port=0):
        self.text = text

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                handler.send_response(200)
                handler.send_header("Content-Type", "text/html; charset=utf-8")
                handler.end_headers()
                handler.wfile.write(self.text.encode())

            def log_message(handler, *_):
                """Nobody asks."""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
