"""Makes a picture of the explorer; see scripts/screenshot."""

import datetime
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

from browser import Browser
from programs import free_port, kill, launched, stop_when_interrupted

WIDTH, HEIGHT = 1280, 860
SAMPLES_S = 120
DEMO_S = 900
MAX_BYTES = 120_000


def demo_addresses(process, log):
    """The URLs of the mirror and of Prometheus, as soon as the demo has printed them."""
    deadline = time.monotonic() + DEMO_S
    while time.monotonic() < deadline:
        text = log.read_text()
        if found := re.search(r"(http://\S+?)/#by=.*URL of this Prometheus is (http://\S+)", text, re.DOTALL):
            return found.groups()
        if process.poll() is not None:
            break
        time.sleep(0.5)
    sys.exit(f"scripts/demo --keep ended early. Its output:\n{log.read_text()[-2000:]}")


def address(mirror, prometheus):
    """The URL of the explorer with a query over the last two minutes, in buckets of two seconds."""
    end = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    start = end - datetime.timedelta(seconds=SAMPLES_S)
    query = {
        "by": "url",
        "url": prometheus,
        "source": "__gauge__",
        "name": "go_memstats_alloc_bytes",
        "method": "MEAN",
        "bucket": "2s",
        "from": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "to": f"{end:%Y-%m-%dT%H:%M:%SZ}",
    }
    return f"{mirror}/#{urllib.parse.urlencode(query)}"


def picture(browser, url):
    browser.open(url)
    browser.wait("document.querySelector('#version').textContent")
    browser.run("document.querySelector('#test').click()")
    browser.wait("document.querySelector('#verdict').className === 'good'")
    browser.run("document.querySelector('#run').click()")
    browser.wait("!document.querySelector('#result').hidden && !document.querySelector('#progress').textContent")
    if error := browser.run("return document.querySelector('#error').textContent"):
        sys.exit(f"the explorer shows an error: {error}")
    browser.run("document.activeElement.blur(); scrollTo(0, 0)")
    return browser.picture(WIDTH, HEIGHT)


def main(target):
    stop_when_interrupted()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        demo, driver = None, None
        try:
            log, port = work / "demo.log", free_port()
            demo = launched(["scripts/demo", "--keep"], log)
            driver = launched(["chromedriver", f"--port={port}"], work / "driver.log")
            mirror, prometheus = demo_addresses(demo, log)
            time.sleep(SAMPLES_S)
            browser = Browser(f"http://127.0.0.1:{port}")
            try:
                image = picture(browser, address(mirror, prometheus))
            finally:
                browser.close()
        finally:
            kill(driver)
            if demo:
                # The demo stops what it has started.
                demo.send_signal(signal.SIGTERM)
                demo.wait()
    # 64 colours are enough for a page, and take a third of the bytes.
    command = ["pngquant", "--speed", "1", "--strip", "64", "-"]
    small = subprocess.run(command, input=image, stdout=subprocess.PIPE, check=True).stdout
    if len(small) > MAX_BYTES:
        sys.exit(f"the picture has {len(small)} bytes, more than {MAX_BYTES}")
    pathlib.Path(target).write_bytes(small)
    print(f"{target}: {len(small)} bytes")


main(sys.argv[1])
