// Asks the server, and listens to its news. Every request goes to the origin of the page.

export class Problem extends Error {}

/** What an address below /api gives; raises Problem with a sentence. */
export async function ask(path, parameters = {}) {
  let answer;
  try {
    answer = await fetch(`/api${path}${query(parameters)}`, { credentials: "same-origin" });
  } catch {
    throw new Problem("The viewer has been ended; start rawlog web again.");
  }
  if (answer.status === 403) throw new Problem("Not allowed: open the address that rawlog web printed.");
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(said.problem || `The viewer failed (${answer.status}).`);
  return said;
}

/** ?a=1&b=2 of what is neither null nor empty. */
export function query(parameters) {
  const found = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return found.length ? "?" + new URLSearchParams(found) : "";
}

/** Calls `tell` with each piece of news, while the page is seen. Gives a function that ends it. */
export function listen(path, parameters, tell, lost) {
  let source = null;
  const open = () => {
    if (document.hidden || source) return;
    source = new EventSource(`/api${path}${query(parameters)}`);
    source.onmessage = (event) => { lost(false); tell(JSON.parse(event.data)); };
    source.onerror = () => lost(true);
  };
  const close = () => { source?.close(); source = null; };
  const turn = () => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", turn);
  open();
  return () => { document.removeEventListener("visibilitychange", turn); close(); };
}

/** A function that does `work` when it is called, one at a time, and leaves the server more time than it takes. */
export function paced(work, least = 200) {
  let busy = false, wanted = false;
  return async function run() {
    wanted = true;
    if (busy) return;
    busy = true;
    while (wanted) {
      wanted = false;
      const begun = performance.now();
      await Promise.resolve(work()).catch(reportError);
      await new Promise((done) => setTimeout(done, Math.max(least, 2 * (performance.now() - begun))));
    }
    busy = false;
  };
}

/** Gives the token of the address for a cookie, and takes it out of the address. */
export async function enter() {
  const found = location.hash.match(/^#token=([\w-]+)$/);
  if (!found) return;
  history.replaceState(null, "", "/");
  await fetch("/session", {
    method: "POST", credentials: "same-origin",
    headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: found[1] }),
  });
}
