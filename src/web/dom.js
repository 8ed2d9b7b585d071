// Helpers for the page. Texts from elsewhere are inserted as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "g", "path", "line", "rect", "circle", "text"]);

export const byId = (id) => document.getElementById(id);

/** An element with attributes, listeners (functions) and children. */
export function element(tag, attributes = {}, ...children) {
  const made = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, content] of Object.entries(attributes)) {
    if (typeof content === "function") made.addEventListener(name, content);
    else made.setAttribute(name, content);
  }
  made.append(...children);
  return made;
}

/** A table of texts. The columns named in `numbers` are aligned to the right. */
export function table(heads, rows, numbers = []) {
  const cell = (tag, head, text) => {
    const attributes = numbers.includes(head) ? {class: "number"} : {};
    return element(tag, tag === "th" ? {...attributes, scope: "col"} : attributes, text ?? "");
  };
  const row = (tag, texts) => element("tr", {}, ...texts.map((text, index) => cell(tag, heads[index], text)));
  return element("table", {}, element("thead", {}, row("th", heads)), element("tbody", {}, ...rows.map((texts) => row("td", texts))));
}

/** A part that scrolls separately, also by the keyboard. */
export const scrolling = (label, ...children) => element("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": label}, ...children);

/** Shows a text. `kind` is one of the classes "good", "bad" and "quiet". */
export function say(id, text, kind = "") {
  byId(id).textContent = text;
  byId(id).className = kind;
}

/** Scrolls to a part that is not visible, such as one below the form on a narrow screen. */
export function reveal(id) {
  const {top, bottom} = byId(id).getBoundingClientRect();
  if (top > innerHeight * 0.8 || bottom < 0) byId(id).scrollIntoView();
}

/** Shows an error with its title and details. Without a title, hides the last error. */
export function showError(title, details = "") {
  byId("error").replaceChildren(element("strong", {}, title), details && `\n${details}`);
  byId("error").hidden = !title;
  if (title) reveal("error");
}
