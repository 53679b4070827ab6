// A row laid open: the lines of both sides, and literals and messages that are opened on request, always as text.

import { ask } from "./api.js";
import { el, said } from "./dom.js";
import { size } from "./format.js";

const KINDS = { literal: "literal", block: "message or list", opaque: "data that is not understood" };

/** What is shown below a row. `time(at)` says when. */
export function opened(path, number, time) {
  const place = el("div.lines");
  more(place, `${path}/rows/${number}`, {}, (answer) => {
    for (const item of answer.items) place.append(...line(path, item, time));
  });
  return place;
}

/** Asks, shows what came, and a button where there is more. */
async function more(place, path, since, show, next = (answer) => answer.next) {
  try {
    const answer = await ask(path, since);
    show(answer);
    const following = next(answer);
    if (following === null) return;
    const button = el("button.more", { type: "button", onclick: () => { button.remove(); more(place, path, following, show, next); } }, "More");
    place.append(button);
  } catch (problem) {
    place.append(el("p.problem", {}, problem.message));
  }
}

function line(path, item, time) {
  const side = item.side === "client" ? "c" : "s";
  const head = [el("time", {}, time(item.at)), el("span.who", {}, side.toUpperCase())];
  if (!("start" in item)) return [el(`div.line.${side}`, {}, ...head, said(item.text || " "))];
  const body = el("div.body", { hidden: true });
  const words = item.fold ? `${size(item.end - item.start)} bytes, ${KINDS[item.fold]}` : `all ${size(item.end - item.start)} bytes`;
  const button = el("button.fold", { type: "button", "aria-expanded": "false", onclick: () => flip(button, body, path, item) }, words);
  return [el(`div.line.${side}`, {}, ...head, el("span.holds", {}, item.fold ? "" : said(item.text), button)), body];
}

function flip(button, body, path, item) {
  body.hidden = !body.hidden;
  button.setAttribute("aria-expanded", String(!body.hidden));
  if (body.childElementCount) return;
  const place = { side: item.side, start: item.start, end: item.end };
  const text = el("pre");
  body.append(text);
  more(body, `${path}/body`, place, ({ lines, outline }) => {
    if (outline.length) text.before(el("pre.outline", {}, ...outline.flatMap((each) => [said(each), "\n"])));
    text.append(...lines.flatMap((each) => [said(each), "\n"]));
  }, ({ next }) => (next === null ? null : { ...place, at: next }));
}
