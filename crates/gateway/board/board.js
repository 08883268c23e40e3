// @ts-check
/** The board: every learner in a grid by stage, and those who need help. Fetches the rows every two seconds. */

import { cell, details, need } from "/rows.js";
import { byId, count, drillCounts, element, fit, line, poll } from "/words.js";

/** A change is retried for ten seconds while the service is busy. */
const CHANGE_TIMEOUT_MS = 15_000;

const stages = byId("stages");
const needs = byId("needs");
const learner = byId("learner");
const text = /** @type {HTMLInputElement} */ (byId("text"));
const stage = /** @type {HTMLSelectElement} */ (byId("stage"));
const seed = /** @type {HTMLInputElement} */ (byId("seed"));
/** The learner whose details are shown. */
let chosen = null;
let board = null;
let asked = "";
/** The stage that was open at the last look. */
let opened = null;

/** The title of a stage with its number, or that of an incident. */
function title(name) {
  const found = board.stages.find((stage) => stage.name === name);
  return found?.number ? `${found.number}. ${found.title}` : (found?.title ?? name);
}

function summary(rows) {
  if (rows.length === 0) return "nobody has joined yet";
  const parts = [count(rows.length, "learner", "learners")];
  const number = (is) => rows.filter(is).length;
  const asking = number((row) => row.help);
  if (asking) parts.push(count(asking, "asks for help", "ask for help"));
  for (const [some, what] of [
    [number((row) => row.presence === "silent"), "silent"],
    [number((row) => row.need === "no-new-goal"), "without a new goal"],
    [number((row) => row.presence === "stopped"), "stopped"],
  ]) {
    if (some) parts.push(`${some} ${what}`);
  }
  return parts.join(", ");
}

function section(stage) {
  const cells = board.learners.filter((row) => row.stage === stage.name).map((row) => cell(row, row.learner === chosen));
  const done = element("span", "faint", ` ${stage.here} here, ${stage.done} done`);
  const heading = element("h2", "", element("span", "", title(stage.name)), done);
  if (stage.name === board.open) heading.append(" ", element("span", "opened", "open up to here"));
  const made = element("section", cells.length ? "stage" : "stage empty", heading);
  if (cells.length) made.append(element("ul", "cells", ...cells));
  made.dataset.stage = stage.name;
  return made;
}

/** Replaces children by others, except those that are the same, so that a focused button and a reader's place are kept. */
function replace(parent, made) {
  const old = [...parent.children];
  const children = made.map((child) => old.find((one) => one.isEqualNode(child)) ?? child);
  if (children.length === old.length && children.every((child, at) => child === old[at])) return;
  const focused = /** @type {HTMLElement | null} */ (parent.contains(document.activeElement) ? document.activeElement : null);
  parent.replaceChildren(...children);
  if (!focused) return;
  const same = [...parent.querySelectorAll("button")].find(
    (one) => one.dataset.learner === focused.dataset.learner && one.dataset.coming === focused.dataset.coming,
  );
  (same ?? parent).focus({ preventScroll: true });
}

/** Shows as many of the learners who need help as fit, and how many more there are. */
function showNeeds(rows) {
  replace(needs, rows.length ? rows.map((row) => need(row, title(row.stage))) : [element("li", "faint", "Nobody right now")]);
  line("rest", "");
  const items = [...needs.children].map((item) => /** @type {HTMLElement} */ (item));
  for (const item of items) item.hidden = false;
  const aside = /** @type {HTMLElement} */ (needs.parentElement);
  let hidden = 0;
  while (hidden < items.length - 1 && aside.scrollHeight > aside.clientHeight) {
    hidden += 1;
    items[items.length - hidden].hidden = true;
    line("rest", `and ${hidden} more, at the top of their stages`);
  }
}

function show(answer) {
  board = answer;
  const rows = board.learners;
  byId("summary").textContent = summary(rows);
  const announced = board.announcement ? `Announced: ${board.announcement.text}` : "";
  line("notice", announced);
  line("drill", board.drill ? `Drill ${board.drill.seed}, ${board.drill.title}: ${drillCounts(board.drill)}` : "");
  // Screen readers announce a question once, not again with every second that it waits.
  const questions = rows.filter((row) => row.help);
  const news = questions.map((row) => `${row.learner} asks: ${row.help.text}`).join("; ");
  if (news !== asked) byId("news").textContent = news;
  asked = news;
  document.title = questions.length ? `(${questions.length}) The class` : "The class";
  if (stage.options.length === 1) {
    stage.append(...board.stages.filter((one) => one.number).map((one) => new Option(title(one.name), one.name)));
  }
  // A choice that is not sent yet stays.
  if (board.open !== opened) stage.value = board.open ?? "";
  opened = board.open;
  render();
}

function render() {
  if (!board) return;
  replace(stages, board.stages.map(section));
  const row = board.learners.find((one) => one.learner === chosen);
  learner.hidden = !row;
  replace(learner, row ? details(row, title(row.stage)) : []);
  fit();
  showNeeds(board.learners.filter((one) => ["help", "rule-broken", "silent", "no-new-goal"].includes(one.need)));
}

/** Sends a change to the server, and reads the board again. */
async function change(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(CHANGE_TIMEOUT_MS),
    });
    const why = answer.ok ? "" : ((await answer.json().catch(() => ({}))).message ?? `HTTP ${answer.status}`);
    line("failure", why && `Not changed: ${why}`);
  } catch {
    line("failure", "Not changed: the board is no longer running; start it again: cargo xtask class board --page");
  }
  look();
}

function clicked(event) {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.coming) {
    change("/board/coming", { learner: button.dataset.coming });
  } else if (button.dataset.learner || button.dataset.close) {
    const name = button.dataset.learner ?? null;
    const before = chosen;
    chosen = name === chosen ? null : name;
    render();
    if (button.dataset.close) {
      /** @type {HTMLElement | undefined} */ ([...stages.querySelectorAll("button")].find((one) => one.dataset.learner === before))?.focus();
    }
  }
}

const look = poll("/board.json", show);
document.querySelector("main")?.addEventListener("click", clicked);
addEventListener("resize", render);
byId("announce").addEventListener("submit", (event) => {
  event.preventDefault();
  change("/board/announcement", { text: text.value });
});
byId("withdraw").addEventListener("click", () => {
  text.value = "";
  change("/board/announcement", { text: "" });
});
byId("start-drill").addEventListener("submit", (event) => {
  event.preventDefault();
  const isNumber = /^[0-9]+$/.test(seed.value.trim());
  line("failure", isNumber ? "" : "Not changed: a seed is a whole number, such as 7");
  if (isNumber) change("/board/drill", { seed: Number(seed.value) });
});
byId("end-drill").addEventListener("click", () => change("/board/drill", { seed: null }));
byId("open-stage").addEventListener("submit", (event) => {
  event.preventDefault();
  change("/board/open", { stage: stage.value });
});
