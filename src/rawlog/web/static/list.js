// The list of conversations: filtered, sorted, and kept up to date while they go on.

import { ask, listen, paced, Problem } from "./api.js";
import { el, said } from "./dom.js";
import { clock, count, day, duration, size, tone } from "./format.js";
import { bar } from "./frame.js";
import { Plot } from "./plot.js";
import { Scroller } from "./scroller.js";

const COLUMNS = [
  ["start", "Start"], ["duration", "Took", "n"], [null, "Protocol"], ["user", "User"], ["client", "Client"], [null, "Software"],
  ["commands", "Cmds", "n"], ["errors", "Errors", "n"], ["slowest", "Slowest", "n"], ["bytes", "Bytes", "n"], [null, "End"],
];
const CHIPS = [["errors", "errors>0"], ["slow", "slowest>1s"], ["unanswered", "is:unanswered"]];
const PLOT_PAUSE = 2000; // milliseconds at least between two paintings of the plot while things change

export class List {
  constructor(parameters, go) {
    this.wish = { q: "", sort: "start", reverse: "", since: "", until: "", ...parameters };
    this.go = go;
    this.news = paced(() => this.look());
    this.paintPlot = paced(() => this.drawPlot(), PLOT_PAUSE);
    this.plot = new Plot((since, until) => this.change({ since, until }));
    this.all = el("button.chip.span", { type: "button", onclick: () => this.change({ since: "", until: "" }) });
    this.bar = bar({
      left: el("h1", {}, "Rawlog"), filter: (q) => this.change({ q }), text: this.wish.q,
      hint: "Filter: user:alice errors>0 command:FETCH latency>1s \"text\"", chips: CHIPS, buttons: [this.all],
    });
    this.scroller = new Scroller({ load: (start, rows) => this.load(start, rows), draw: (row) => draw(row), key: (row) => row.id, label: "Conversations" });
    this.scroller.enter = () => this.enter();
    this.titles = el("div.titles");
    this.note = el("p.nothing", { hidden: true });
    this.element = el("div.page.list", {}, this.bar.element, this.plot.element, this.titles, this.scroller.element, this.note);
  }

  begin() {
    document.title = "Rawlog";
    this.paintTitles();
    this.listen();
    this.scroller.element.focus();
  }

  listen() {
    this.ending?.();
    this.ending = listen("/list/events", { q: this.wish.q }, () => this.news(), (lost) => this.element.classList.toggle("lost", lost));
    this.news();
  }

  change(wish) {
    if (Object.keys(wish).every((key) => (wish[key] ?? "") === this.wish[key])) return;
    Object.assign(this.wish, Object.fromEntries(Object.entries(wish).map(([key, value]) => [key, value ?? ""])));
    this.go(this.address(), true);
    this.scroller.reset();
    this.paintTitles();
    this.listen();
  }

  address() {
    const kept = Object.entries(this.wish).filter(([key, value]) => value && !(key === "sort" && value === "start"));
    return kept.length ? `#/?${new URLSearchParams(kept)}` : "#/";
  }

  /** Something has changed: what is seen is asked for again, and the plot now and then. */
  async look() {
    if (this.over) return;
    try {
      const state = await ask("/list", { ...this.wish, start: 0, count: 1 });
      this.bar.fail("");
      this.scroller.setTotal(state.total);
      this.tell(state);
      this.paintPlot();
    } catch (problem) {
      this.fail(problem);
    }
  }

  async load(start, rows) {
    try {
      return (await ask("/list", { ...this.wish, start, count: rows })).rows;
    } catch (problem) {
      this.fail(problem);
      return null;
    }
  }

  tell({ total, all, reading, waiting, problems }) {
    const words = [total === all ? count(total) : `${count(total)} of ${count(all)}`];
    if (reading) words.push(reading[1] ? `reading ${count(reading[0])} of ${count(reading[1])}` : "looking");
    if (waiting) words.push(`searching ${count(waiting)} more`);
    if (problems.length) words.push(`${problems.length} unreadable`);
    this.bar.say(words.join(" · "));
    this.bar.element.querySelector(".state").title = problems.join("\n");
    this.all.hidden = !this.wish.since;
    this.all.textContent = this.wish.since ? `${clock(Number(this.wish.since))} – ${clock(Number(this.wish.until))} ✕` : "";
    this.note.hidden = total > 0;
    this.note.textContent = all === 0 && !reading ? "No recordings here yet. They appear as they are made." : waiting || reading ? "Looking …" : "Nothing matches.";
  }

  async drawPlot() {
    try {
      const columns = this.over ? null : await ask("/list/plot", this.wish);
      if (!this.over) this.plot.show(columns);
    } catch (problem) {
      this.fail(problem);
    }
  }

  paintTitles() {
    this.titles.replaceChildren(...COLUMNS.map(([sort, title, kind]) => {
      const mark = sort === this.wish.sort ? (this.wish.reverse ? " ↑" : " ↓") : "";
      const turn = () => this.change({ sort, reverse: sort === this.wish.sort && !this.wish.reverse ? "1" : "" });
      return sort ? el(`button${kind ? `.${kind}` : ""}`, { type: "button", onclick: turn }, title + mark) : el("span", {}, title);
    }));
  }

  enter(number = this.scroller.chosen) {
    const row = this.scroller.row(number);
    if (!row) return;
    const parameters = this.wish.q ? `?${new URLSearchParams({ q: this.wish.q })}` : "";
    this.go(`#/talk/${row.id}${parameters}`);
  }

  escape() {
    if (!this.bar.clear() && this.wish.since) this.change({ since: "", until: "" });
  }

  fail(problem) {
    if (!(problem instanceof Problem)) throw problem;
    this.bar.fail(problem.message);
  }

  end() {
    this.over = true;
    this.ending?.();
    this.scroller.end();
    this.plot.end();
  }
}

function draw(row) {
  const end = row.live ? el("span.live", {}, "live") : said(row.end, `span.said.end${endTone(row.end)}`);
  return el(`div.row${row.read ? "" : ".unread"}`, { title: row.name },
    el("span.when", {}, el("time.date", {}, day(row.started)), " ", el("time", {}, clock(row.started))),
    el("span.n.took", {}, duration(row.duration)),
    el("span.protocol", {}, row.protocol || "–"),
    row.user ? said(row.user, "span.said.user") : el("span.user.none", {}, row.read ? "–" : row.name),
    said(row.client, "span.said.client"),
    said(row.software, "span.said.software"),
    el("span.n.commands", {}, row.commands ? count(row.commands) : ""),
    el(`span.n.errors${row.errors ? ".bad" : ""}`, {}, row.errors ? count(row.errors) : ""),
    el(`span.n.slowest.${tone(row.slowest ?? 0)}`, {}, duration(row.slowest)),
    el("span.n.bytes", {}, row.read ? size(row.in + row.out) : ""),
    end);
}

const endTone = (end) => (end === "logout" || end === "" ? "" : end.startsWith("no answer") ? ".wait" : ".odd");

