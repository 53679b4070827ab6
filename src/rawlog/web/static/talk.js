// One conversation: two sides on one time axis, commands beside their answers, and what was slow.

import { ask, listen, paced, Problem, query } from "./api.js";
import { el, iconButton, said } from "./dom.js";
import { clock, count, day, duration, since, size, tone, weight } from "./format.js";
import { bar } from "./frame.js";
import { opened } from "./opened.js";
import { Scroller } from "./scroller.js";
import { Strip } from "./strip.js";

const CHIPS = [["errors", "is:error"], ["slow", "latency>1s"], ["unanswered", "is:unanswered"]];
const PAUSE = 1e6; // microseconds of silence that are worth a word
const STRIP_PAUSE = 1500; // milliseconds at least between two paintings of the strip while things change

export class Talk {
  constructor(id, parameters, go) {
    this.path = `/talk/${id}`;
    this.q = parameters.q ?? "";
    this.go = go;
    this.refill = paced(() => this.again());
    this.paintStrip = paced(() => this.drawStrip(), STRIP_PAUSE);
    this.state = { total: 0, stable: 0, edition: 0, version: -1 };
    this.matches = null; // numbers of the rows that match; null: all
    this.relative = false;
    this.following = false;
    this.strip = new Strip((row) => this.jump(row));
    this.title = el("h1.said");
    this.downloads = el("details.menu", {}, el("summary", { title: "Download" }, "Download"), el("div", {},
      el("a", { href: `/api${this.path}/download?kind=masked`, download: "" }, "Without secrets", el("small", {}, "names and mail stay")),
      el("a", { href: `/api${this.path}/download?kind=pseudonyms`, download: "" }, "With pseudonyms", el("small", {}, "names, addresses and mail replaced"))));
    this.follows = el("button.chip", { type: "button", title: "Stay at the end (f)", "aria-pressed": "false", onclick: () => this.follow(!this.following) }, "follow");
    this.bar = bar({
      left: el("div.left", {}, iconButton("back", "Back to the list (Esc)", () => this.back()), this.title),
      filter: (q) => this.filter(q), text: this.q, hint: "Filter: command:FETCH latency>1s \"text\"", chips: CHIPS,
      buttons: [this.follows, this.downloads, iconButton("clock", "Time of day, or since the start (r)", () => this.turn())],
    });
    this.facts = el("dl.facts");
    this.scroller = new Scroller({
      load: (start, rows) => this.load(start, rows), draw: (row, number) => this.draw(row, number), label: "Conversation",
      open: (row, number) => this.open(row, number),
    });
    this.scroller.enter = (number) => this.scroller.toggle(number);
    this.scroller.seen = (first, last) => this.seen(first, last);
    this.scroller.element.addEventListener("wheel", (event) => { if (event.deltaY < 0) this.follow(false); }, { passive: true });
    this.note = el("p.nothing", { hidden: true });
    this.element = el("div.page.talk", {}, this.bar.element, this.facts, this.strip.element, this.scroller.element, this.note);
  }

  async begin() {
    this.scroller.element.focus();
    this.element.addEventListener("click", (event) => { if (!event.target.closest("summary")) this.downloads.open = false; });
    try {
      this.fill(await ask(this.path));
      if (this.q) await this.filter(this.q, true);
    } catch (problem) {
      this.fail(problem);
    }
    if (!this.over) {
      this.ending = listen(`${this.path}/events`, {}, (state) => this.news(state), (lost) => this.element.classList.toggle("lost", lost));
    }
  }

  /** What is known of it as a whole. */
  fill({ name, summary, ...state }) {
    this.start = summary.started;
    this.title.textContent = summary.user || name;
    this.title.title = name;
    document.title = `${this.title.textContent} – Rawlog`;
    const facts = [
      ["Recording", name], ["Protocol", summary.protocol], ["Client", summary.client], ["Software", summary.software],
      ["Start", summary.started === null ? "" : `${day(summary.started)} ${clock(summary.started)}`],
      ["Took", summary.ended === null ? "" : duration(summary.ended - summary.started)],
      ["Commands", count(summary.commands)], ["Refused", summary.errors ? count(summary.errors) : ""], ["Slowest", duration(summary.slowest)],
      ["In", size(summary.in_bytes)], ["Out", size(summary.out_bytes)], ["End", summary.end],
    ];
    this.facts.replaceChildren(...facts.filter(([, value]) => value).map(([key, value]) =>
      el("div", {}, el("dt", {}, key), said(value, `dd.said${key === "Refused" ? ".bad" : ""}`))));
    this.update(state);
  }

  /** The server says that something has changed. */
  news(state) {
    this.update(state);
    this.refill();
    this.paintStrip();
  }

  async again() {
    if (this.over) return;
    try {
      this.fill(await ask(this.path));
      if (this.matches && !this.state.reading) await this.filter(this.q, true);
    } catch (problem) {
      this.fail(problem);
    }
  }

  update(state) {
    const before = this.state;
    this.state = state;
    if (state.edition !== before.edition) this.scroller.reset();
    if (!this.matches) this.scroller.setTotal(state.total, Math.min(before.stable, state.stable));
    if (this.following && state.total !== before.total) this.scroller.toEnd();
    this.tell();
  }

  tell() {
    const { total, reading, progress, complete, problem } = this.state;
    const words = [this.matches ? `${count(this.matches.length)}${this.all ? "" : "+"} of ${count(total)}` : count(total)];
    if (reading) words.push(`reading ${Math.floor(progress * 100)} %`);
    if (!complete) words.push("the rest is not shown");
    this.bar.say(words.join(" · "));
    if (problem) this.bar.fail(problem);
    this.note.hidden = this.scroller.total > 0 || reading;
    this.note.textContent = this.matches ? "Nothing matches." : "Nothing has been said yet.";
  }

  async filter(q, again = false) {
    if (!again && q === this.q && !this.matches === !q) return;
    this.q = q;
    if (!again) this.go(`#${this.path}${query({ q })}`, true);
    try {
      const answer = q ? await ask(`${this.path}/matches`, { q }) : { rows: null, all: true };
      if (q !== this.q) return;
      this.bar.fail("");
      this.matches = answer.rows;
      this.all = answer.all;
      if (again) this.scroller.setTotal(this.matches?.length ?? this.state.total);
      else this.scroller.reset(this.matches?.length ?? this.state.total);
      this.tell();
    } catch (problem) {
      if (q === this.q) this.fail(problem);
    }
  }

  async load(start, rows) {
    const wanted = this.matches ? { rows: this.matches.slice(start, start + rows).join(",") } : { start, count: rows };
    try {
      const answer = await ask(`${this.path}/rows`, wanted);
      return answer.edition === this.state.edition ? answer.rows : null;
    } catch (problem) {
      this.fail(problem);
      return null;
    }
  }

  async drawStrip() {
    try {
      const columns = this.over ? null : await ask(`${this.path}/strip`);
      if (!this.over) this.strip.show(columns);
    } catch (problem) {
      this.fail(problem);
    }
  }

  // -- rows -----------------------------------------------------------------------------------------------------------

  time(at) {
    if (at === null || at === undefined) return "";
    return this.relative ? since(at, this.start ?? at) : clock(at, 3);
  }

  draw(row, number) {
    const time = el("time", {}, this.time(row.at));
    const pause = this.pause(row, number);
    if (row.kind === "mark") return el("div.row.mark", {}, pause, time, said(row.text, "span.said.m"));
    if (row.kind === "line") {
      const side = row.side === "client" ? "c" : "s";
      const text = said(row.text, `span.said.${side}`);
      return el("div.row.lone", {}, pause, time, ...(side === "c" ? [text, el("span.axis"), el("span")] : [el("span"), el("span.axis"), text]));
    }
    const waits = row.asks && !row.status;
    const asked = row.asks ? said(row.command, "span.said.c") : el("span.said.none", {}, row.verb);
    if (row.talking >= PAUSE) asked.append(el("span.talking", {}, ` ${duration(row.talking)}`));
    return el(`div.row${row.failed ? ".failed" : ""}${waits ? ".waits" : ""}${row.asks ? "" : ".unasked"}`, {}, pause, time,
      asked,
      axis(row, waits),
      el("span.said.s", {}, row.status ? el("b.status", {}, row.status) : "", said(answer(row))),
      el("span.n.bytes", { title: `${row.sent} sent, ${row.received} received` }, size(row.sent + row.received)));
  }

  /** The silence before a row, or its new day. */
  pause(row, number) {
    const before = number > 0 && !this.matches ? this.scroller.row(number - 1) : null;
    const last = before ? before.ended ?? before.at : null;
    if (last === null || last === undefined || row.at === null || row.at - last < PAUSE) return "";
    const words = day(last) === day(row.at) ? `${duration(row.at - last)} of silence` : day(row.at);
    return el("span.pause", {}, words);
  }

  open(row, number) {
    if (row.kind === "mark") return null;
    return opened(this.path, this.matches ? this.matches[number] : number, (at) => this.time(at));
  }

  seen(first, last) {
    const near = (number, step) => {
      for (let n = number; n >= 0 && n < this.scroller.total && Math.abs(n - number) < 50; n += step) {
        const row = this.scroller.row(n);
        if (row && row.at !== null) return row.at;
      }
      return null;
    };
    const all = first === 0 && last >= this.scroller.total;
    this.strip.mark(all ? null : near(first, 1), all ? null : near(last - 1, -1));
  }

  // -- what the keys and buttons do -----------------------------------------------------------------------------------

  jump(row) {
    this.follow(false);
    const number = this.matches ? this.matches.findIndex((each) => each >= row) : row;
    this.scroller.choose(number < 0 ? this.scroller.total - 1 : number);
    this.scroller.show(this.scroller.chosen, true);
  }

  follow(wish) {
    this.following = wish;
    this.follows.setAttribute("aria-pressed", wish);
    if (wish) this.scroller.toEnd();
  }

  turn() {
    this.relative = !this.relative;
    this.scroller.reset(this.scroller.total);
  }

  enter() { if (this.scroller.chosen >= 0) this.scroller.toggle(this.scroller.chosen); }

  escape() {
    const { chosen, opened: open } = this.scroller;
    if (open.has(chosen)) this.scroller.toggle(chosen);
    else if (!this.bar.clear()) this.back();
  }

  back() { this.go(null); }

  fail(problem) {
    if (!(problem instanceof Problem)) throw problem;
    this.bar.fail(problem.message);
  }

  end() {
    this.over = true;
    this.ending?.();
    this.scroller.end();
    this.strip.end();
  }
}

/** The middle: how long the answer took. */
function axis(row, waits) {
  if (waits) return el("span.axis.waits", {}, el("span.took", {}, "no answer"));
  if (row.latency === null || !row.asks) return el("span.axis", {});
  const bar = el("i");
  bar.style.width = `${Math.round(weight(row.latency) * 100)}%`;
  return el(`span.axis.${tone(row.latency)}`, {},
    el("span.took", {}, duration(row.latency)), el("span.track", {}, bar));
}

/** The status line without its status word, which stands before it. */
function answer(row) {
  const words = row.answer;
  const at = row.status ? words.toUpperCase().indexOf(row.status) : -1;
  return at < 0 ? words : words.slice(at + row.status.length).trimStart();
}
