# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The live page, in a browser."""

from .browser import Browser


class Page(Browser):
    """The page as a user sees it."""

    def wait_live(self):
        self.wait(lambda: self.run("return document.querySelector('#link').dataset.state") == "live",
                  20, "live")
        self.wait(lambda: self.rows("backends"), what="rows of backends")

    def tile(self, name):
        return self.run("return document.querySelector(`[data-tile='${arguments[0]}'] .small`)"
                        "?.textContent || ''", name)

    def total(self, name):
        """The figure of a tile as it stands there, "1,234 in all"."""
        text = self.tile(name).split()[0] if self.tile(name) else "-1"
        return int(text.replace(",", ""))

    def rows(self, table_name):
        """{name of the row: {column: text}}"""
        # Pairs: an object's keys come back sorted.
        return dict(self.run("""
            const table = document.getElementById(arguments[0] + "-table");
            const titles = [...table.querySelectorAll("thead th")].map((th) => th.textContent);
            return [...table.querySelectorAll("tbody tr")].map((tr) =>
                [tr.dataset.key, Object.fromEntries([...tr.children].map((td, i) =>
                    [titles[i], td.textContent]))]);""", table_name))

    def color(self, selector, which="backgroundColor"):
        """(red, green, blue), as painted."""
        return tuple(self.run("""
            const canvas = document.createElement("canvas").getContext("2d");
            canvas.fillStyle = getComputedStyle(document.querySelector(arguments[0]))[arguments[1]];
            canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);""", selector, which))
