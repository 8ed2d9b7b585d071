// Completes names and values by the same methods as StackState.

import {byId, element, say} from "./dom.js";
import {condition, connectionDetails, field, hasAddress, labelConditions, timeRange, value} from "./form.js";
import {errorOf, latest, post} from "./mirror.js";

const MAX_SUGGESTIONS = 100;
/** How long the user must stop typing before a query is sent. */
const PAUSE_MS = 200;

const next = latest();
let timer;
let listCount = 0;

async function fieldItems(path, type, extra, signal, read) {
  const query = {_type: `${type}Query`, ...timeRange(), limit: MAX_SUGGESTIONS, ...extra};
  const response = await post(path, {_type: `${type}Request`, connectionDetails: connectionDetails(), query}, {signal});
  if (response.status !== 200) {
    const {title, details} = errorOf(response);
    throw new Error(details || title);
  }
  return {items: read(response.json), isPartial: response.json.isPartial};
}

const fieldValues = (fieldName, fieldValuePrefix, conditions, signal) => fieldItems("api/field/value", "FieldValues",
  {field: {_type: "FieldDescriptor", fieldName, fieldType: "STRING", classified: false}, fieldValuePrefix, conditions}, signal,
  (json) => json.values.map((item) => item.value));

const fieldNames = (conditions, signal) => fieldItems("api/field/name", "FieldNames", {conditions}, signal,
  (json) => json.fields.map((item) => item.fieldName).filter((name) => !["__gauge__", "__counter__", "~"].includes(name)));

/** A condition on the chosen metric, or none while its name is empty. */
const sourceCondition = () => (value("name") ? [condition(value("source"), value("name"))] : []);

/** Gives an input a list of suggestions (a combobox of WAI-ARIA). `suggest` gives them, or null if there can be none. */
function combobox(input, suggest) {
  const list = element("ul", {id: `list-${++listCount}`, role: "listbox", "aria-label": "Suggestions", hidden: ""});
  for (const [name, content] of Object.entries({role: "combobox", autocomplete: "off", spellcheck: "false", "aria-autocomplete": "list",
    "aria-expanded": "false", "aria-controls": list.id})) input.setAttribute(name, content);
  let active = -1;

  const choose = (index) => {
    active = index;
    [...list.children].forEach((option, at) => option.setAttribute("aria-selected", at === index));
    if (list.children[index]) {
      input.setAttribute("aria-activedescendant", list.children[index].id);
      list.children[index].scrollIntoView({block: "nearest"});
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  };
  const open = (items) => {
    list.replaceChildren(...items.map((text, index) => element("li", {id: `${list.id}-${index}`, role: "option"}, text)));
    list.hidden = !items.length;
    input.setAttribute("aria-expanded", items.length > 0);
    choose(-1);
  };
  const close = () => {
    clearTimeout(timer);
    next();
    open([]);
  };
  const take = (option) => {
    input.value = option.textContent;
    close();
    input.dispatchEvent(new Event("change", {bubbles: true}));
  };
  const complete = () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const signal = next();
      try {
        const {items, isPartial} = (hasAddress() && (await suggest(signal))) || {items: []};
        if (signal.aborted) return;
        // Do not suggest what the input already contains.
        open(items.length === 1 && items[0] === input.value.trim() ? [] : items);
        say("hint", isPartial ? `These are the first ${items.length}: type more characters to see others.` : "", "quiet");
      } catch (error) {
        if (!signal.aborted) say("hint", `No suggestions: ${error.message}`, "quiet");
      }
    }, PAUSE_MS);
  };
  const keys = {
    ArrowDown: () => (list.hidden ? complete() : choose((active + 1) % list.children.length)),
    ArrowUp: () => list.hidden || choose((active <= 0 ? list.children.length : active) - 1),
    Enter: () => take(list.children[active]),
    Escape: close,
  };

  input.addEventListener("keydown", (event) => {
    if (!keys[event.key] || (event.key === "Enter" && active < 0)) return;
    event.preventDefault();
    keys[event.key]();
  });
  for (const event of ["focus", "input"]) input.addEventListener(event, complete);
  input.addEventListener("blur", close);
  // On pointerdown, before the input loses the focus.
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const option = event.target.closest("li");
    if (option) take(option);
  });
  return element("span", {class: "suggestions"}, list);
}

/** Completes the name of the metric. */
export function completeNames() {
  const suggest = (signal) => (value("source") === "~" ? null : fieldValues(value("source"), value("name"), labelConditions(), signal));
  field("name").after(combobox(field("name"), suggest));
}

let labelCount = 0;

/** Adds a row for a label. Returns the input of its name. */
export function addLabel(name = "", text = "") {
  const number = ++labelCount;
  const [nameInput, valueInput] = [name, text].map((content) => {
    const input = element("input");
    input.value = content;
    return input;
  });
  const suggestedNames = combobox(nameInput, async (signal) => {
    const {items} = await fieldNames(sourceCondition(), signal);
    return {items: items.filter((item) => item.startsWith(nameInput.value.trim()))};
  });
  const suggestedValues = combobox(valueInput, (signal) => (nameInput.value.trim() ? fieldValues(nameInput.value.trim(), valueInput.value, sourceCondition(), signal) : null));
  const remove = () => {
    row.remove();
    byId("add-label").focus();
  };
  const row = element("div", {class: "label"}, element("label", {}, "Label", nameInput, suggestedNames), element("label", {}, "Value", valueInput, suggestedValues),
    element("button", {type: "button", click: remove, "aria-label": `Remove label ${number}`}, "×"));
  byId("labels").append(row);
  return nameInput;
}
