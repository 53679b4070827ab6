// A list of any length of which only what is seen exists: rows are asked for in pages, and drawn where they are looked at.

import { el } from "./dom.js";

const PAGE = 100;
const PAGES_KEPT = 40;
const AROUND = 12; // rows that are drawn above and below what is seen
const FRESH = 800; // milliseconds for which an opened row is kept in view while it fills

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export class Scroller {
  /**
   * `load(start, count)` gives rows (null: not now), `draw(row, number)` an element, `open(row, number)` what is shown
   * below an opened one. `key(row)` tells rows apart where they may move.
   */
  constructor({ load, draw, open = null, key = null, label }) {
    this.load = load;
    this.draw = draw;
    this.open = open;
    this.key = key;
    this.chosenKey = null;
    this.total = 0;
    this.chosen = -1;
    this.pages = new Map();
    this.asked = new Set();
    this.drawn = new Map();
    this.opened = new Map(); // number: {element, height}
    this.wanted = null;
    this.round = this.fresh = 0;
    this.space = el("div.space");
    this.element = el("div.scroller", { tabindex: "0", role: "listbox", "aria-label": label }, this.space);
    this.element.addEventListener("scroll", () => this.paint(), { passive: true });
    this.resizing = new ResizeObserver(() => this.measure());
    this.resizing.observe(this.element);
    this.heights = new ResizeObserver((entries) => this.#resized(entries));
  }

  /** There are so many rows. Those from `fresh` on are asked for anew. */
  setTotal(total, fresh = 0) {
    this.total = total;
    this.round += 1;
    this.fresh = fresh;
    for (const [page, rows] of this.pages) {
      if ((page + 1) * PAGE > fresh || rows.length < PAGE) rows.stale = true;
    }
    for (const number of this.opened.keys()) if (number >= total) this.close(number);
    this.chosen = Math.min(this.chosen, total - 1);
    this.paint();
  }

  /** Nothing of what was shown is true any more. */
  reset(total = 0) {
    this.round += 1;
    this.pages.clear();
    this.asked = new Set(); // what was asked before is for nobody
    for (const number of [...this.opened.keys()]) this.close(number);
    for (const element of this.drawn.values()) element.remove();
    this.drawn.clear();
    this.total = total;
    this.chosen = Math.min(this.chosen, total - 1);
    this.paint();
  }

  row(number) {
    return this.pages.get(Math.floor(number / PAGE))?.[number % PAGE];
  }

  measure() {
    const height = parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 30;
    if (height !== this.height) {
      this.height = height;
      for (const element of this.drawn.values()) element.remove();
      this.drawn.clear();
    }
    this.paint();
  }

  #above(number) {
    let height = number * this.height;
    for (const [other, { height: extra }] of this.opened) if (other < number) height += extra;
    return height;
  }

  /** The row at this height. */
  #at(top) {
    let above = 0;
    for (const [number, { height }] of [...this.opened].sort((a, b) => a[0] - b[0])) {
      const begins = (number + 1) * this.height + above;
      if (top < begins) break;
      if (top < begins + height) return number;
      above += height;
    }
    return Math.floor((top - above) / this.height);
  }

  paint() {
    if (!this.height) return;
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, this.#at(scrollTop) - AROUND);
    const last = Math.min(this.total, this.#at(scrollTop + clientHeight) + 1 + AROUND);
    this.space.style.height = `${this.#above(this.total)}px`;
    for (const [number, element] of this.drawn) {
      if (number < first || number >= last) { element.remove(); this.drawn.delete(number); }
    }
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page += 1) this.#fetch(page);
    for (let number = first; number < last; number += 1) this.#place(number);
    for (const [number, { element }] of this.opened) {
      const seen = number >= first && number < last;
      element.hidden = !seen;
      if (seen) element.style.transform = `translateY(${this.#above(number) + this.height}px)`;
    }
    this.seen?.(this.#at(scrollTop), Math.min(this.total, this.#at(scrollTop + clientHeight) + 1));
  }

  #place(number) {
    const row = this.row(number);
    let element = this.drawn.get(number);
    if (element && element.row !== row) { element.remove(); element = undefined; }
    if (!element) {
      element = row ? this.draw(row, number) : el("div.row.empty");
      element.row = row;
      element.setAttribute("role", "option");
      element.addEventListener("click", (event) => this.#clicked(event, number));
      this.drawn.set(number, element);
      this.space.append(element);
    }
    element.style.transform = `translateY(${this.#above(number)}px)`;
    element.classList.toggle("chosen", number === this.chosen);
    element.classList.toggle("open", this.opened.has(number));
    element.setAttribute("aria-selected", number === this.chosen);
  }

  async #fetch(page) {
    const known = this.pages.get(page);
    const { asked, round } = this;
    if ((known && !known.stale) || asked.has(page)) return;
    asked.add(page);
    try {
      const came = await this.load(page * PAGE, PAGE);
      if (came === null || asked !== this.asked) return;
      const rows = came.map((row, n) => (known && same(known[n], row) ? known[n] : row)); // what is drawn may stay
      if (round !== this.round && ((page + 1) * PAGE > this.fresh || rows.length < PAGE)) rows.stale = true;
      this.pages.delete(page);
      this.pages.set(page, rows);
      if (this.pages.size > PAGES_KEPT) this.pages.delete(this.pages.keys().next().value);
      if (this.wanted !== null && this.row(this.wanted)) this.toggle(this.wanted);
      this.#follow();
    } finally {
      asked.delete(page);
    }
    this.paint();
  }

  /** What was chosen stays chosen, wherever it went. */
  #follow() {
    const row = this.row(this.chosen);
    if (!this.key || this.chosenKey === null || (row && this.key(row) === this.chosenKey)) return;
    for (const [page, rows] of this.pages) {
      const at = rows.findIndex((each) => this.key(each) === this.chosenKey);
      if (at >= 0) this.chosen = page * PAGE + at;
    }
  }

  #clicked(event, number) {
    if (event.target.closest("a, button") || String(getSelection())) return;
    this.choose(number);
    this.enter?.(number);
  }

  /** Choose a row, and bring it into view. */
  choose(number) {
    if (!this.total) return;
    this.chosen = Math.min(Math.max(0, number), this.total - 1);
    const row = this.row(this.chosen);
    this.chosenKey = this.key && row ? this.key(row) : null;
    this.show(this.chosen);
  }

  show(number, middle = false) {
    const top = this.#above(number), { scrollTop, clientHeight } = this.element;
    if (middle) this.element.scrollTop = top - clientHeight / 3;
    else if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) this.element.scrollTop = top + this.height - clientHeight;
    this.paint();
  }

  toEnd() {
    this.element.scrollTop = this.space.offsetHeight;
    this.paint();
  }

  get atEnd() {
    return this.element.scrollTop + this.element.clientHeight >= this.space.offsetHeight - 2 * this.height;
  }

  /** Open a row, or close it. One that is not there yet is opened when it comes. */
  toggle(number) {
    const row = this.row(number);
    this.wanted = row ? null : number;
    if (this.opened.has(number)) this.close(number);
    else if (row && this.open) {
      const content = this.open(row, number);
      if (!content) return;
      const element = el("div.below", {}, content);
      this.opened.set(number, { element, height: 0, fresh: performance.now() + FRESH });
      this.space.append(element);
      this.heights.observe(element);
    }
    this.paint();
  }

  close(number) {
    const { element } = this.opened.get(number);
    this.heights.unobserve(element);
    element.remove();
    this.opened.delete(number);
  }

  #resized(entries) {
    for (const entry of entries) {
      for (const [number, one] of this.opened) {
        if (one.element !== entry.target || one.element.hidden) continue;
        one.height = Math.ceil(entry.borderBoxSize[0].blockSize);
        if (performance.now() < one.fresh) this.#reveal(number, one.height);
      }
    }
    this.paint();
  }

  /** Bring what was opened just now into view, as far as its row stays there. */
  #reveal(number, height) {
    const top = this.#above(number), { scrollTop, clientHeight } = this.element;
    const below = top + this.height + height - scrollTop - clientHeight;
    this.space.style.height = `${this.#above(this.total)}px`;
    if (below > 0) this.element.scrollTop = scrollTop + Math.min(below, top - scrollTop);
  }

  end() {
    this.resizing.disconnect();
    this.heights.disconnect();
  }
}
