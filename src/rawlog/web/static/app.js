// Begins the page: the token, the address, the keys.

import { enter } from "./api.js";
import { help, nextTheme, setTheme } from "./frame.js";
import { List } from "./list.js";
import { Talk } from "./talk.js";

let view = null;
let listAddress = "#/";

/** Show what the address says. */
function show() {
  view?.end();
  const [path, search] = location.hash.slice(1).split("?");
  const parameters = Object.fromEntries(new URLSearchParams(search ?? ""));
  const talk = path.match(/^\/talk\/([0-9a-f]+)$/);
  if (!talk) listAddress = location.hash || "#/";
  view = talk ? new Talk(talk[1], parameters, go) : new List(parameters, go);
  document.getElementById("view").replaceChildren(view.element);
  view.begin();
}

/** Go to an address; null: back to the list. With `silent` it is only noted, for the view shows it already. */
function go(address, silent = false) {
  if (silent) {
    history.replaceState(null, "", address);
    if (!address.startsWith("#/talk/")) listAddress = address;
  } else {
    location.hash = address ?? listAddress;
  }
}

const rows = () => view.scroller;
const page = () => Math.max(1, Math.floor(rows().element.clientHeight / rows().height) - 1);
const KEYS = {
  j: () => rows().choose(rows().chosen + 1), ArrowDown: () => rows().choose(rows().chosen + 1),
  k: () => rows().choose(rows().chosen - 1), ArrowUp: () => rows().choose(rows().chosen - 1),
  PageDown: () => rows().choose(rows().chosen + page()), PageUp: () => rows().choose(rows().chosen - page()),
  g: () => rows().choose(0), Home: () => rows().choose(0), G: () => rows().choose(rows().total - 1), End: () => rows().choose(rows().total - 1),
  Enter: () => view.enter(), Escape: () => view.escape(), "/": () => view.bar.box.select(), "?": help, t: nextTheme,
  f: () => view.follow?.(!view.following), r: () => view.turn?.(),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !view) return;
  if (document.getElementById("help").open) {
    if (event.key === "?") { help(); event.preventDefault(); }
    return;
  }
  const target = event.target;
  if (target.matches("input") || (event.key === "Enter" && target.matches("button, a, summary"))) return;
  const action = KEYS[event.key];
  if (action) { action(); event.preventDefault(); }
});

setTheme();
await enter();
addEventListener("hashchange", show);
show();
