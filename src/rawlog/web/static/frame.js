// What both pages have around their rows: the bar with the filter, the choice of dark and light, the help.

import { el, iconButton } from "./dom.js";

const KEYS = [
  ["j  k", "next, previous row"], ["g  G", "first, last row"], ["Enter", "open the row"], ["Esc", "close, clear, go back"],
  ["/", "filter"], ["f", "follow the end of a conversation"], ["r", "time of day, or since the start"],
  ["t", "dark, light, as the system"], ["?", "this help"],
];
const WORDS = [
  ["user:alice", "who logged in; also ip: protocol: software: end: name:"],
  ["command:FETCH", "also status:NO tag: is:error is:unanswered"],
  ["latency>1s", "also first> talking> sent> received>"],
  ["errors>0", "of a conversation; also duration> slowest> commands> bytes>"],
  ["\"some text\" /regex/i", "in either direction; in: or out: before it in one"],
  ["not a (b or c)", "terms together must all hold"],
];
const THEMES = ["", "dark", "light"];
const THEME_NAMES = { "": "as the system", dark: "dark", light: "light" };

export function setTheme(theme = localStorage.getItem("theme") ?? "") {
  document.documentElement.dataset.theme = THEMES.includes(theme) ? theme : "";
}

export function nextTheme() {
  const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
  localStorage.setItem("theme", theme);
  setTheme(theme);
  say(`Colours: ${THEME_NAMES[theme]}`);
  dispatchEvent(new Event("theme"));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("theme")));

/** The bar: what stands at its left, a filter box with short cuts, buttons. `filter(text)` is told what is wished. */
export function bar({ left, filter, text, hint, chips, buttons = [] }) {
  const box = el("input", {
    type: "search", id: "filter", placeholder: hint, spellcheck: "false", autocomplete: "off", autocapitalize: "off",
    "aria-label": "Filter", value: text,
  });
  const state = el("span.state", { "aria-live": "polite" });
  const problem = el("p.problem", { role: "alert", hidden: true });
  const marks = chips.map(([label, term]) =>
    el("button.chip", { type: "button", title: term, onclick: () => use(flip(box.value, term)) }, label));
  const paint = () => marks.forEach((mark, n) => mark.setAttribute("aria-pressed", has(box.value, chips[n][1])));
  const use = (value) => { box.value = value; paint(); filter(value.trim()); };
  let waiting = 0;
  box.addEventListener("input", () => { paint(); clearTimeout(waiting); waiting = setTimeout(() => use(box.value), 350); });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { clearTimeout(waiting); use(box.value); document.querySelector(".scroller")?.focus(); }
    if (event.key === "Escape") { box.value ? use("") : box.blur(); event.stopPropagation(); }
  });
  paint();
  const element = el("header", {},
    el("div.bar", {}, left, el("div.filter", {}, box, ...marks), state, ...buttons,
      iconButton("theme", "Dark, light, as the system (t)", nextTheme), iconButton("help", "Help (?)", help)),
    problem);
  return {
    element, box,
    say(words) { state.textContent = words; },
    fail(words) { problem.textContent = words; problem.hidden = !words; },
    clear() { if (!box.value) return false; use(""); return true; },
  };
}

const has = (text, term) => ` ${text} `.includes(` ${term} `);
const flip = (text, term) => (has(text, term) ? ` ${text} `.replace(` ${term} `, " ").trim() : `${text} ${term}`.trim());

export function help() {
  const dialog = document.getElementById("help");
  if (dialog.open) { dialog.close(); return; }
  const table = (rows, key) => el("dl", {}, ...rows.flatMap(([a, b]) => [el("dt", {}, el(key, {}, a)), el("dd", {}, b)]));
  dialog.replaceChildren(el("h2", {}, "Keys"), table(KEYS, "kbd"), el("h2", {}, "Filter"), table(WORDS, "code"),
    el("button", { type: "button", onclick: () => dialog.close() }, "Close"));
  dialog.showModal();
}

let fading = 0;

/** A few words that go away by themselves. */
export function say(words) {
  document.querySelector(".toast")?.remove();
  clearTimeout(fading);
  const toast = el("div.toast", { role: "status" }, words);
  document.body.append(toast);
  fading = setTimeout(() => toast.remove(), 2000);
}
