// @ts-check
/** What the board and the wall view share: elements, words, and reading from the server. All outside text is inserted as text. */

const POLL_INTERVAL_MS = 2000;
const REQUEST_TIMEOUT_MS = 8000;

/** The element with this id, which the page has. */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** An element of this class with these children. */
export function element(name, kind, ...children) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.append(...children);
  return made;
}

/** Seconds for a person. */
export function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** A number of things in words. */
export function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}

/** How many learners are in each state of the class's drill. */
export function drillCounts(drill) {
  const states = ["not started", "working", "mitigated", "recovered", "gave up"].filter((state) => drill.states[state]);
  return states.map((state) => `${drill.states[state]} ${state}`).join(", ");
}

/** Shows or hides a line of text. */
export function line(id, text) {
  const shown = byId(id);
  if (shown.textContent !== text) shown.textContent = text;
  shown.hidden = !text;
}

/** Has the page's text as large as fits in the window without scrolling: the style sheet has a size for each number. */
export function fit() {
  const page = document.documentElement;
  for (const size of ["6", "5", "4", "3", "2", "1"]) {
    page.dataset.size = size;
    if (page.scrollHeight <= innerHeight && page.scrollWidth <= innerWidth) return;
  }
}

/** Reads from the server every two seconds, or at once if the returned function is called. */
export function poll(path, show) {
  let answered = null;
  let timer = 0;
  const look = async () => {
    clearTimeout(timer);
    const summary = byId("summary");
    try {
      const answer = await fetch(path, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
      const board = await answer.json();
      if (!answer.ok) throw new Error(board.message);
      summary.className = "";
      show(board);
      answered = Date.now();
    } catch (error) {
      const since = answered === null ? "" : `; this data is ${duration((Date.now() - answered) / 1000)} old`;
      summary.textContent = `Cannot read the board: ${error.message || "it is no longer running"}${since}`;
      summary.className = "alarm";
    }
    clearTimeout(timer);
    timer = setTimeout(look, POLL_INTERVAL_MS);
  };
  look();
  return look;
}
