//! A real browser, driven over the WebDriver protocol: JSON over HTTP to Debian's chromedriver.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::process::{Server, agent, require};

/// How long the page may take until a condition holds.
const PATIENCE: Duration = Duration::from_secs(20);

/// The key under which WebDriver gives the id of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys, as WebDriver writes them.
pub mod keys {
    pub const TAB: &str = "\u{e004}";
    pub const ENTER: &str = "\u{e007}";
    pub const CONTROL: &str = "\u{e009}";
    pub const ESCAPE: &str = "\u{e00c}";
    pub const SPACE: &str = " ";
    pub const END: &str = "\u{e010}";
    pub const HOME: &str = "\u{e011}";
    pub const RIGHT: &str = "\u{e014}";
    pub const DOWN: &str = "\u{e015}";
}

/// A separate browser, closed when dropped.
pub struct Browser {
    session: String,
    agent: ureq::Agent,
}

fn driver() -> &'static Server {
    static DRIVER: OnceLock<Server> = OnceLock::new();
    DRIVER.get_or_init(|| {
        require("chromium", "chromium");
        let server = Server::start("chromedriver", "chromium-driver", |_, port| vec![format!("--port={port}")]);
        server.wait_ready("/status");
        server
    })
}

impl Browser {
    /// Starts a browser and opens a page, in a window of this width in pixels.
    pub fn open(url: &str, width: u32) -> Browser {
        // Without the pipe, a browser would outlive a killed test process. The sandbox needs a user other than root.
        let options = json!({"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
            "--disable-background-networking", "--no-first-run", "--lang=en-US", "--window-size=1440,1000"]});
        let capabilities = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}});
        let agent = agent();
        let mut response =
            agent.post(driver().url("/session")).send(capabilities.to_string()).expect("chromedriver answers");
        let text = response.body_mut().read_to_string().unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let id = json["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {text}"));
        let browser = Browser { session: driver().url(&format!("/session/{id}")), agent };
        browser.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": false}),
        );
        browser.go(url);
        browser
    }

    fn command(&self, path: &str, body: &Value) -> Result<Value, String> {
        let mut response =
            self.agent.post(format!("{}{path}", self.session)).send(body.to_string()).expect("chromedriver answers");
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
        let mut json: Value = serde_json::from_str(&text).unwrap();
        if response.status() == 200 { Ok(json["value"].take()) } else { Err(format!("{path} {body}: {text:.600}")) }
    }

    /// Opens a page.
    pub fn go(&self, url: &str) {
        self.command("/url", &json!({"url": url})).unwrap();
    }

    /// Runs a command of the DevTools protocol, and returns its result.
    pub fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.command("/goog/cdp/execute", &json!({"cmd": command, "params": parameters})).unwrap()
    }

    /// Runs a function's body in the page, and returns its result.
    pub fn run(&self, script: &str) -> Value {
        self.command("/execute/sync", &json!({"script": script, "args": []})).unwrap()
    }

    /// Waits until an expression of the page is true. On failure, shows the text of the page.
    pub fn wait(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.run(&format!("return Boolean({expression})")) != json!(true) {
            let page = || self.run("return document.body.innerText");
            assert!(Instant::now() < deadline, "waited in vain until {expression}; the page: {}", page());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn element(&self, selector: &str) -> String {
        let found = self.command("/element", &json!({"using": "css selector", "value": selector})).unwrap();
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Clicks on an element.
    pub fn click(&self, selector: &str) {
        self.command(&format!("/element/{}/click", self.element(selector)), &json!({})).unwrap();
    }

    /// Types a text into an element, after its content.
    pub fn type_into(&self, selector: &str, text: &str) {
        self.command(&format!("/element/{}/value", self.element(selector)), &json!({"text": text})).unwrap();
    }

    /// Replaces the content of a field, which may be about to appear.
    pub fn set(&self, selector: &str, text: &str) {
        self.wait(&format!("document.querySelector({})?.checkVisibility()", json!(selector)));
        self.command(&format!("/element/{}/clear", self.element(selector)), &json!({})).unwrap();
        self.type_into(selector, text);
    }

    /// Chooses an option of a list by its value.
    pub fn choose(&self, selector: &str, value: &str) {
        self.click(&format!("{selector} option[value='{value}']"));
    }

    /// Presses keys one after the other, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let press = |key: char| ["keyDown", "keyUp"].map(|what| json!({"type": what, "value": key}));
        let actions: Vec<Value> = keys.chars().flat_map(press).collect();
        self.command("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})).unwrap();
    }

    /// Presses a key while another is held.
    pub fn press_with(&self, held: &str, key: &str) {
        let action = |what: &str, key: &str| json!({"type": what, "value": key});
        let actions = [action("keyDown", held), action("keyDown", key), action("keyUp", key), action("keyUp", held)];
        self.command("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})).unwrap();
    }

    /// Moves the mouse to a place relative to an element's middle.
    pub fn hover(&self, selector: &str, x: i64, y: i64) {
        let place =
            json!({"type": "pointerMove", "duration": 10, "origin": {ELEMENT: self.element(selector)}, "x": x, "y": y});
        self.command("/actions", &json!({"actions": [{"type": "pointer", "id": "mouse", "actions": [place]}]}))
            .unwrap();
    }

    /// Moves the mouse between two positions with its button down. Positions are relative to the middle of an element.
    pub fn drag(&self, selector: &str, from: i64, to: i64) {
        let origin = json!({ELEMENT: self.element(selector)});
        let to_place = |x| json!({"type": "pointerMove", "duration": 50, "origin": origin, "x": x, "y": 0});
        let actions = [
            to_place(from),
            json!({"type": "pointerDown", "button": 0}),
            to_place(to),
            json!({"type": "pointerUp", "button": 0}),
        ];
        self.command("/actions", &json!({"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]}))
            .unwrap();
    }

    /// The text of an element.
    pub fn text(&self, selector: &str) -> String {
        let text = self.run(&format!("return document.querySelector({}).textContent", json!(selector)));
        text.as_str().unwrap().to_owned()
    }

    /// The new entries of a log, which is `browser` (the console) or `performance`.
    fn log(&self, kind: &str) -> Vec<Value> {
        self.command("/se/log", &json!({"type": kind})).unwrap().as_array().unwrap().clone()
    }

    /// Checks that the console has no lines, except lines with one of these parts, and that the page has requested nothing from
    /// other origins. Refused resources are lines of the console, too.
    pub fn check_clean(&self, origin: &str, except: &[&str]) {
        let complaints: Vec<String> = self.log("browser").iter().map(|entry| entry["message"].to_string()).collect();
        let unexpected: Vec<&String> =
            complaints.iter().filter(|line| !except.iter().any(|part| line.contains(part))).collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
        let mut requested = 0;
        for entry in self.log("performance") {
            let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            if message["message"]["method"] == "Network.requestWillBeSent" {
                let url = message["message"]["params"]["request"]["url"].as_str().unwrap();
                assert!(url.starts_with(&format!("{origin}/")) || url == "data:,", "{url}");
                requested += 1;
            }
        }
        assert!(requested > 2, "{requested} requests");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
    }
}
