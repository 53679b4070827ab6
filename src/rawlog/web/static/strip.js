// The latency strip over a conversation: time from left to right, latencies from bottom to top (logarithmic).

import { colour, el } from "./dom.js";
import { clock, count, duration, tone, weight } from "./format.js";

const NAMES = { quick: "client", so: "client", slow: "wait", bad: "bad" };

export class Strip {
  /** `jump(row)` is told where somebody points. */
  constructor(jump) {
    this.jump = jump;
    this.canvas = el("canvas", { "aria-label": "Latency over time", role: "img" });
    this.note = el("div.note");
    this.element = el("section.strip", { hidden: true }, this.canvas, this.note);
    this.canvas.addEventListener("pointermove", (event) => this.#tell(this.#column(event)));
    this.canvas.addEventListener("pointerleave", () => this.#tell(null));
    this.canvas.addEventListener("click", (event) => {
      const column = this.#column(event);
      if (column !== null) this.jump(this.columns.place[column]);
    });
    this.resizing = new ResizeObserver(() => this.paint());
    this.resizing.observe(this.element);
    this.repaint = () => this.paint();
    addEventListener("theme", this.repaint);
  }

  show(columns) {
    this.columns = columns;
    this.element.hidden = columns.at.length < 2;
    this.paint();
  }

  /** Mark the part of the conversation that is seen, by its times. */
  mark(from, to) {
    this.seen = from === null || to === null ? null : [from, to];
    this.paint();
  }

  #x(at, width) {
    const { start, end } = this.columns;
    return ((at - start) / Math.max(1, end - start)) * (width - 6) + 3;
  }

  paint() {
    if (this.element.hidden || !this.columns) return;
    const { clientWidth: width, clientHeight: height } = this.canvas, scale = devicePixelRatio;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    const draw = this.canvas.getContext("2d");
    draw.scale(scale, scale);
    const colours = Object.fromEntries(["client", "wait", "bad", "rule", "chosen", "faint"].map((name) => [name, colour(name)]));
    if (this.seen) {
      const [from, to] = this.seen.map((at) => this.#x(at, width));
      draw.fillStyle = colours.chosen;
      draw.fillRect(from - 2, 0, Math.max(4, to - from + 4), height);
    }
    draw.fillStyle = colours.rule;
    for (const us of [1000, 1e5, 1e7]) draw.fillRect(0, Math.round(height - weight(us) * (height - 4)), width, 1);
    this.columns.at.forEach((at, n) => {
      const latency = this.columns.latency[n], x = this.#x(at, width);
      const tall = latency === null ? 3 : 3 + weight(latency) * (height - 8);
      draw.fillStyle = this.columns.failed[n] ? colours.bad : latency === null ? colours.faint : colours[NAMES[tone(latency)]];
      draw.fillRect(x - 1, height - tall, 2, tall);
    });
  }

  #column(event) {
    const x = event.offsetX, width = this.canvas.clientWidth;
    let best = null, nearest = 12;
    this.columns.at.forEach((at, n) => {
      const far = Math.abs(this.#x(at, width) - x);
      if (far < nearest) [best, nearest] = [n, far];
    });
    return best;
  }

  #tell(column) {
    if (column === null) { this.note.textContent = ""; return; }
    const { at, count: counts, latency, failed } = this.columns;
    const words = [clock(at[column], 3), `${count(counts[column])} row${counts[column] === 1 ? "" : "s"}`];
    if (latency[column] !== null) words.push(`slowest ${duration(latency[column])}`);
    if (failed[column]) words.push(`${count(failed[column])} refused`);
    this.note.textContent = words.join(" · ");
  }

  end() {
    removeEventListener("theme", this.repaint);
    this.resizing.disconnect();
  }
}
