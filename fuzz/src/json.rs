//! JSON as RFC 8259 has it, read the obvious way into a tree that forgets nothing: keys that are there twice, numbers
//! as they are spelt, and texts that are none.

use serde_json::Value;

use crate::Refused;

/// What is nested deeper is not looked at: serde_json gives up at 128 in what it keeps, and at nothing in what it
/// skips.
pub const MAX_DEPTH: usize = 100;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// As it is spelt.
    Number(String),
    /// `None` when it is no Unicode text, by broken UTF-8 or half of a surrogate pair.
    Text(Option<String>),
    List(Vec<Json>),
    Object(Vec<(Option<String>, Json)>),
}

fn read(body: &[u8]) -> Result<Json, Refused> {
    let mut reader = Reader { rest: body };
    let json = reader.value(0)?;
    reader.blanks();
    if reader.rest.is_empty() { Ok(json) } else { Err(Refused::Form) }
}

impl Json {
    /// The fields of an object with all keys being texts; the last of a key counts where keys may be there twice.
    pub fn fields(&self) -> Option<Vec<(&str, &Json)>> {
        let Json::Object(fields) = self else { return None };
        fields.iter().map(|(key, value)| Some((key.as_deref()?, value))).collect()
    }

    /// Whether serde_json could keep all of it: every text is one, every number can be a float.
    pub fn is_sound(&self) -> bool {
        match self {
            Json::Null | Json::Bool(_) => true,
            Json::Number(text) => text.parse::<f64>().is_ok_and(f64::is_finite),
            Json::Text(text) => text.is_some(),
            Json::List(items) => items.iter().all(Json::is_sound),
            Json::Object(fields) => fields.iter().all(|(key, value)| key.is_some() && value.is_sound()),
        }
    }

    /// Whether it is what serde_json makes of it, numbers being about the same.
    pub fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Json::Null, Value::Null) => true,
            (Json::Bool(one), Value::Bool(other)) => one == other,
            (Json::Number(text), Value::Number(number)) => {
                let (exact, read) = (text.parse::<f64>().unwrap(), number.as_f64().unwrap());
                (exact - read).abs() <= exact.abs() * 1e-14 + f64::MIN_POSITIVE
            }
            (Json::Text(Some(one)), Value::String(other)) => one == other,
            (Json::List(items), Value::Array(others)) => {
                items.len() == others.len() && items.iter().zip(others).all(|(item, other)| item.is(other))
            }
            (Json::Object(_), Value::Object(others)) => {
                let fields = self.fields().unwrap();
                others.keys().all(|key| fields.iter().any(|(name, _)| name == key))
                    && fields.iter().enumerate().all(|(nth, (key, value))| {
                        let is_last = fields[nth + 1..].iter().all(|(later, _)| later != key);
                        !is_last || others.get(*key).is_some_and(|other| value.is(other))
                    })
            }
            _ => false,
        }
    }
}

/// Reads a whole body, and has serde_json check this reader itself.
pub fn checked(body: &[u8]) -> Result<Json, Refused> {
    let read = read(body);
    match (&read, serde_json::from_slice::<Value>(body)) {
        (Ok(json), Ok(value)) => assert!(json.is(&value), "{json:?} or {value:?}"),
        // At the very end of the floats, it is not the same for both.
        (Ok(json), Err(error)) => assert!(!json.is_sound() || has_huge(json), "only one reads it: {json:?}, {error}"),
        (Err(why), Ok(value)) => assert_eq!(*why, Refused::Unsure, "only serde_json reads it: {value:?}"),
        (Err(_), Err(_)) => {}
    }
    read
}

fn has_huge(json: &Json) -> bool {
    match json {
        Json::Number(text) => text.parse::<f64>().unwrap().abs() > 1e307,
        Json::List(items) => items.iter().any(has_huge),
        Json::Object(fields) => fields.iter().any(|(_, value)| has_huge(value)),
        _ => false,
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn blanks(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn takes(&mut self, text: &str) -> bool {
        let taken = self.rest.strip_prefix(text.as_bytes());
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    fn must(&mut self, text: &str) -> Result<(), Refused> {
        if self.takes(text) { Ok(()) } else { Err(Refused::Form) }
    }

    fn value(&mut self, depth: usize) -> Result<Json, Refused> {
        if depth > MAX_DEPTH {
            return Err(Refused::Unsure);
        }
        self.blanks();
        match self.rest.first() {
            Some(b'n') => self.must("null").map(|()| Json::Null),
            Some(b't') => self.must("true").map(|()| Json::Bool(true)),
            Some(b'f') => self.must("false").map(|()| Json::Bool(false)),
            Some(b'"') => self.text().map(Json::Text),
            Some(b'[') => self.list(depth),
            Some(b'{') => self.object(depth),
            _ => self.number(),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, Refused> {
        self.must("[")?;
        let mut items = Vec::new();
        self.blanks();
        if self.takes("]") {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.takes("]") {
                return Ok(Json::List(items));
            }
            self.must(",")?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Refused> {
        self.must("{")?;
        let mut fields = Vec::new();
        self.blanks();
        if self.takes("}") {
            return Ok(Json::Object(fields));
        }
        loop {
            self.blanks();
            let key = self.text()?;
            self.blanks();
            self.must(":")?;
            fields.push((key, self.value(depth + 1)?));
            self.blanks();
            if self.takes("}") {
                return Ok(Json::Object(fields));
            }
            self.must(",")?;
        }
    }

    /// A number: a minus sign perhaps, digits without a needless zero in front, a fraction perhaps, an exponent
    /// perhaps.
    fn number(&mut self) -> Result<Json, Refused> {
        let start = self.rest;
        self.takes("-");
        if !self.takes("0") {
            self.digits()?;
        }
        if self.takes(".") {
            self.digits()?;
        }
        if self.takes("e") || self.takes("E") {
            let _ = self.takes("+") || self.takes("-");
            self.digits()?;
        }
        let text = &start[..start.len() - self.rest.len()];
        Ok(Json::Number(String::from_utf8(text.to_vec()).unwrap()))
    }

    fn digits(&mut self) -> Result<(), Refused> {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.rest = &self.rest[count..];
        if count > 0 { Ok(()) } else { Err(Refused::Form) }
    }

    fn text(&mut self) -> Result<Option<String>, Refused> {
        self.must("\"")?;
        // The text in UTF-8, and whether all escapes are characters.
        let (mut bytes, mut is_text) = (Vec::new(), true);
        loop {
            let [byte, rest @ ..] = self.rest else { return Err(Refused::Form) };
            self.rest = rest;
            match byte {
                b'"' => return Ok(String::from_utf8(bytes).ok().filter(|_| is_text)),
                0..0x20 => return Err(Refused::Form),
                b'\\' => match self.escaped()? {
                    Some(c) => bytes.extend(c.to_string().into_bytes()),
                    None => is_text = false,
                },
                other => bytes.push(*other),
            }
        }
    }

    /// What follows a backslash; `None` for half of a surrogate pair.
    fn escaped(&mut self) -> Result<Option<char>, Refused> {
        for (letter, c) in [
            ("\"", '"'),
            ("\\", '\\'),
            ("/", '/'),
            ("b", '\u{8}'),
            ("f", '\u{c}'),
            ("n", '\n'),
            ("r", '\r'),
            ("t", '\t'),
        ] {
            if self.takes(letter) {
                return Ok(Some(c));
            }
        }
        let first = self.unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            // The second half of a pair is none alone.
            return Ok(char::from_u32(first));
        }
        let before = self.rest;
        if self.takes("\\") && self.rest.first() == Some(&b'u') {
            let second = self.unit()?;
            if (0xdc00..0xe000).contains(&second) {
                return Ok(char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
            }
        }
        self.rest = before;
        Ok(None)
    }

    /// `u` and four hexadecimal digits.
    fn unit(&mut self) -> Result<u32, Refused> {
        self.must("u")?;
        let digits = self.rest.get(..4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = std::str::from_utf8(digits.ok_or(Refused::Form)?).unwrap();
        let unit = u32::from_str_radix(digits, 16).unwrap();
        self.rest = &self.rest[4..];
        Ok(unit)
    }
}
