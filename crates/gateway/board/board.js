// The board: fetches the rows every two seconds and shows them. Names and questions are the learners' input, so all of it is
// inserted as text.

const POLL_INTERVAL_MS = 2000;
const REQUEST_TIMEOUT_MS = 8000;

const summary = document.getElementById("summary");
const news = document.getElementById("news");
const help = document.getElementById("help");
const learners = document.getElementById("learners");
let told = "";
let answered = null;

/** An element with this text, of this class. */
function element(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

/** Seconds for a person. */
function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** A number of things in words. */
function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}

function summaryOf(rows) {
  if (rows.length === 0) return "nobody has joined yet";
  const parts = [count(rows.length, "learner", "learners")];
  const asking = rows.filter((row) => row.help).length;
  const stuck = rows.filter((row) => row.stuck && row.presence === "here").length;
  const silent = rows.filter((row) => row.presence === "silent").length;
  const stopped = rows.filter((row) => row.presence === "stopped").length;
  if (asking) parts.push(count(asking, "asks for help", "ask for help"));
  if (stuck) parts.push(`${stuck} stuck`);
  if (silent) parts.push(`${silent} silent`);
  if (stopped) parts.push(`${stopped} stopped`);
  return parts.join(", ");
}

function question(row) {
  const item = document.createElement("li");
  item.append(element("span", row.learner, "who"), " ", element("span", row.help.text), " ");
  item.append(element("span", `for ${duration(row.help.for_s)}`, "since"));
  return item;
}

function goalsOf(row) {
  const cell = element("td", "", "goals");
  const done = row.of > 0 && row.reached === row.of;
  cell.append(element("span", `${row.reached}/${row.of}`, done ? "done" : ""));
  // The tooltip lists the goals.
  cell.title = row.goals.map((goal) => `${goal.reached ? "✓" : "○"} ${goal.says}`).join("\n");
  return cell;
}

function stuckOf(row) {
  const cell = document.createElement("td");
  if (row.stuck) {
    const more = row.stuck_transfers > 1 ? `, and ${row.stuck_transfers - 1} more` : "";
    cell.append(element("span", `${row.stuck.what}, for ${duration(row.stuck.for_s)}${more}`, "stuck"));
    cell.append(element("span", row.stuck.failure, "small"));
    cell.append(element("span", `${row.stuck.workflow_id}, attempt ${row.stuck.attempt}`, "small"));
  }
  if (row.wrong > 0) cell.append(element("span", row.wrong === 1 ? "1 rule broken" : `${row.wrong} rules broken`, "small"));
  if (row.build === "failed") cell.append(element("span", "the last build failed", "small"));
  if (row.shared) cell.append(element("span", "two labs use this name", "small"));
  return cell;
}

function presenceOf(row) {
  const time = duration(row.seen_s);
  if (row.presence === "silent") return element("td", `silent for ${time}`, "silent");
  return element("td", row.presence === "stopped" ? `stopped ${time} ago` : `${time} ago`);
}

function line(row) {
  const made = element("tr", "", `${row.presence} ${row.help ? "asks" : ""}`);
  made.append(element("td", row.learner, "name"), element("td", row.stage), goalsOf(row), stuckOf(row), presenceOf(row));
  return made;
}

function show(board) {
  summary.textContent = summaryOf(board.learners);
  summary.className = "";
  const questions = board.learners.filter((row) => row.help);
  help.replaceChildren(...questions.map(question));
  // Screen readers announce a question once, not again with every second that it waits.
  const asked = questions.map((row) => `${row.learner} asks: ${row.help.text}`).join("; ");
  if (asked !== told) news.textContent = asked;
  told = asked;
  document.title = questions.length ? `(${questions.length}) The class` : "The class";
  learners.replaceChildren(...board.learners.map(line));
}

async function look() {
  try {
    const answer = await fetch("/board.json", { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    const board = await answer.json();
    if (!answer.ok) throw new Error(board.message);
    show(board);
    answered = Date.now();
  } catch (error) {
    const since = answered === null ? "" : `; this data is ${duration((Date.now() - answered) / 1000)} old`;
    summary.textContent = `cannot read the board: ${error.message || "its program has ended"}${since}`;
    summary.className = "silent";
  }
  setTimeout(look, POLL_INTERVAL_MS);
}

look();
