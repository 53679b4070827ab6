// The plot over all conversations: the longest latency of each moment, where errors were, how many conversations began.

import { colour, el } from "./dom.js";
import { clock, count, day, duration } from "./format.js";

const HEIGHT = 104;
const PHONE = 76;
const DECADES = [0.1, 10, 1000, 100000]; // milliseconds that have a line

const decade = (ms) => (ms >= 1000 ? `${ms / 1000} s` : ms >= 1 ? `${ms} ms` : `${ms * 1000} µs`);

/** What stands below the plot: the day, or the time of it. */
const moment = (us, step) => (step >= 86400 || clock(us) === "00:00:00" ? day(us) : clock(us).slice(0, step < 60 ? 8 : 5));

export class Plot {
  /** `pick(since, until)` is told of a span that was dragged, in microseconds; `pick(null, null)`: all again. */
  constructor(pick) {
    this.pick = pick;
    this.note = el("div.note");
    this.place = el("div.plot");
    this.element = el("section.overview", { "aria-label": "Latency over all conversations" }, this.place, this.note);
    this.resizing = new ResizeObserver(() => this.fit());
    this.resizing.observe(this.element);
    this.repaint = () => { if (this.columns) this.show(this.columns); };
    addEventListener("theme", this.repaint);
  }

  show(columns) {
    this.columns = columns;
    this.element.classList.toggle("empty", columns.at.length === 0);
    this.plot?.destroy();
    this.plot = null;
    if (!columns.at.length || !this.element.clientWidth) return;
    const ms = columns.latency.map((us) => (us === null ? null : Math.max(us, 10) / 1000));
    const failed = ms.map((value, n) => (columns.failed[n] && value !== null ? value : null));
    const data = [columns.at.map((us) => us / 1e6), columns.count, ms, failed];
    this.plot = new uPlot(this.#options(columns), data, this.place);
    this.#tell(null);
  }

  #options(columns) {
    const [dim, faint, rule, client, bad] = ["dim", "faint", "rule", "client", "bad"].map((name) => colour(name));
    const axis = { stroke: dim, grid: { stroke: rule, width: 1 }, ticks: { show: false }, font: "11px system-ui", gap: 4 };
    const dots = (stroke, size) => ({ scale: "ms", stroke, width: 0, paths: () => null, points: { show: true, size, fill: stroke, width: 0 } });
    const margin = Math.max((columns.end - columns.start) / 1e6 * 0.01, 0.5);
    return {
      width: this.element.clientWidth, height: innerWidth < 700 ? PHONE : HEIGHT, legend: { show: false },
      padding: [8, 14, 0, 4],
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
      scales: {
        x: { range: [columns.start / 1e6 - margin, columns.end / 1e6 + margin] },
        ms: { distr: 3, range: (_, least, most) => [Math.min(least ?? 1, 1) / 2, Math.max(most ?? 1, 100) * 2] },
        n: { range: (_, __, most) => [0, (most || 1) * 3] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 20, space: 90, values: (_, all, __, ___, step) => all.map((at) => moment(at * 1e6, step)) },
        { ...axis, scale: "ms", size: 52, filter: (_, all) => all,
          splits: (_, __, least, most) => DECADES.filter((ms) => ms >= least && ms <= most), values: (_, all) => all.map(decade) },
      ],
      series: [
        {},
        { scale: "n", fill: faint, stroke: faint, width: 0, paths: uPlot.paths.bars({ size: [0.8, 14, 2] }), points: { show: false } },
        dots(client, 5), dots(bad, 6),
      ],
      hooks: {
        setCursor: [(plot) => this.#tell(plot.cursor.idx)],
        setSelect: [(plot) => this.#picked(plot)],
      },
    };
  }

  #picked(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    const at = (x) => Math.round(plot.posToVal(x, "x") * 1e6);
    this.pick(at(left), at(left + width));
  }

  #tell(column) {
    const { at, count: counts, failed, latency } = this.columns;
    if (column === null || column === undefined) { this.note.textContent = ""; return; }
    const words = [`${day(at[column])} ${clock(at[column])}`, `${count(counts[column])} conversation${counts[column] === 1 ? "" : "s"}`];
    if (latency[column] !== null) words.push(`slowest ${duration(latency[column])}`);
    if (failed[column]) words.push(`${count(failed[column])} refused`);
    this.note.textContent = words.join(" · ");
  }

  fit() {
    if (!this.plot) { if (this.columns) this.show(this.columns); return; }
    if (this.element.clientWidth && this.plot.width !== this.element.clientWidth) {
      this.plot.setSize({ width: this.element.clientWidth, height: innerWidth < 700 ? PHONE : HEIGHT });
    }
  }

  end() {
    removeEventListener("theme", this.repaint);
    this.resizing.disconnect();
    this.plot?.destroy();
  }
}
