"""A real browser, driven over the WebDriver protocol: JSON over HTTP to Debian's chromedriver."""

import base64
import json
import time
import urllib.request

OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-US"]
PATIENCE_S = 20


class Browser:
    """A browser session. `driver` is the address of chromedriver."""

    def __init__(self, driver):
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": OPTIONS}}
        session = self.post(f"{driver}/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"{driver}/session/{session['sessionId']}"

    @staticmethod
    def post(url, body):
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["value"]

    def open(self, url):
        self.post(f"{self.session}/url", {"url": url})

    def devtools(self, command, **parameters):
        return self.post(f"{self.session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def run(self, script):
        """Runs the body of a function in the page, and returns its result."""
        return self.post(f"{self.session}/execute/sync", {"script": script, "args": []})

    def wait(self, expression):
        deadline = time.monotonic() + PATIENCE_S
        while not self.run(f"return Boolean({expression})"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited in vain until {expression}; the page: {self.run('return document.body.innerText')}")
            time.sleep(0.05)

    def picture(self, width, height):
        """A PNG of the top of the page, in the light theme."""
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.wait(f"innerWidth === {width}")
        return base64.b64decode(self.devtools("Page.captureScreenshot", format="png")["data"])

    def close(self):
        request = urllib.request.Request(self.session, method="DELETE")
        urllib.request.urlopen(request, timeout=60).close()
