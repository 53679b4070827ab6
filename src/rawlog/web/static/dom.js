// Makes elements. Whatever comes from a recording goes in as text, never as HTML: there is no way here to do otherwise.

const ESCAPE = /\\(?:[\\nrt]|x[0-9a-f]{2}|u\{[0-9a-f]+\})/g;
const SVG = "http://www.w3.org/2000/svg";

/** An element: el("div.row.bad", {title: "…", onclick: f}, "text", child). */
export function el(what, properties = {}, ...children) {
  const [name, ...classes] = what.split(".");
  const made = document.createElement(name || "div");
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** Recorded text, with the escapes in it to be seen as such: the server has made everything else harmless. */
export function said(text, what = "span.said") {
  const made = el(what);
  let done = 0;
  for (const found of text.matchAll(ESCAPE)) {
    made.append(text.slice(done, found.index), el("span.escape", {}, found[0]));
    done = found.index + found[0].length;
  }
  made.append(text.slice(done));
  return made;
}

const ICONS = {
  back: "M10 3 5 8l5 5",
  clock: "M8 4.5V8l2.5 1.5M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2Z",
  help: "M6 6.2a2 2 0 1 1 2.8 1.9c-.6.3-.8.7-.8 1.4M8 11.7v.1M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2Z",
  theme: "M13 9.6A5.5 5.5 0 1 1 6.4 3 4.4 4.4 0 0 0 13 9.6Z",
};

/** A button with an icon; its label is read and shown when the pointer rests on it. */
export function iconButton(icon, label, onclick) {
  const drawing = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  drawing.setAttribute("viewBox", "0 0 16 16");
  path.setAttribute("d", ICONS[icon]);
  drawing.append(path);
  return el("button.icon", { type: "button", title: label, "aria-label": label, onclick }, drawing);
}

const colours = new Map();
addEventListener("theme", () => colours.clear(), { capture: true });

/** A colour of the page, as a canvas understands it. */
export function colour(name) {
  if (!colours.has(name)) {
    const probe = el("span");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    colours.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return colours.get(name);
}
