// @ts-check
/** A learner on the board: as a cell of a stage, as a line in the list of those who need help, and with all details. */

import { count, duration, element } from "/words.js";

/** What is to be said about a learner, the most urgent first: each with its class. */
function states(row) {
  const states = [];
  if (row.help) states.push(["alarm", `asked for help ${duration(row.help.for_s)} ago${row.coming ? ", you are coming" : ""}`]);
  if (row.wrong > 0) states.push(["alarm", count(row.wrong, "rule broken", "rules broken")]);
  if (row.presence === "silent") states.push(["alarm", `silent for ${duration(row.seen_s)}`]);
  if (row.presence === "stopped") states.push(["faint", `stopped ${duration(row.seen_s)} ago`]);
  if (row.has_no_new_goal && !row.help) states.push(["waits", `no new goal for ${duration(row.no_new_goal_s)}`]);
  if (row.drill) states.push([row.drill.state === "recovered" ? "done" : "", drillOf(row.drill)]);
  if (row.build === "failed") states.push(["waits", "build failed"]);
  if (row.shared) states.push(["waits", "two labs use this name"]);
  if (row.clock_ahead_s) states.push(["waits", `clock ${duration(Math.abs(row.clock_ahead_s))} ${row.clock_ahead_s > 0 ? "ahead" : "behind"}`]);
  return states;
}

/** How far a learner is with a drill. */
function drillOf(drill) {
  const time = drill.seconds === null ? "" : ` ${drill.state === "working" ? "for" : "after"} ${duration(drill.seconds)}`;
  return `drill: ${drill.state}${time}`;
}

function stateOf(row) {
  const parts = states(row).map(([kind, text]) => element("span", kind, text));
  return element("span", "states", ...parts.flatMap((part, at) => (at ? [" · ", part] : [part])));
}

function goalsOf(row) {
  const done = row.of > 0 && row.reached === row.of;
  return element("span", done ? "goals done" : "goals", `${done ? "✓ " : ""}${row.reached}/${row.of}`);
}

/** A learner as a cell, which is a button that shows the details. */
export function cell(row, isChosen) {
  const button = element("button", "", element("span", "name", row.learner), goalsOf(row), stateOf(row));
  button.type = "button";
  button.dataset.learner = row.learner;
  button.setAttribute("aria-pressed", String(isChosen));
  return element("li", `cell ${row.need} ${row.presence}`, button);
}

/** A learner in the list of those who need help; a question has a button that acknowledges it. */
export function need(row, stage) {
  const where = element("span", "faint", ` ${stage}`);
  const item = element("li", row.need, element("span", "name", row.learner), where, " ", stateOf(row));
  item.dataset.learner = row.learner;
  if (!row.help) return item;
  const text = element("p", "question", row.help.text);
  item.append(text);
  if (row.coming) {
    item.append(element("p", "faint", `✓ ${row.learner} sees that you are coming`));
  } else {
    const coming = element("button", "coming", "I'm coming");
    coming.type = "button";
    coming.dataset.coming = row.learner;
    coming.setAttribute("aria-label", `I'm coming, to ${row.learner}`);
    item.append(coming);
  }
  return item;
}

/** Everything about a learner. */
export function details(row, stage) {
  const close = element("button", "close", "Close");
  close.type = "button";
  close.dataset.close = "true";
  const lines = [
    element("h2", "", row.learner, " ", goalsOf(row)),
    element("p", "faint", `${stage}, seen ${duration(row.seen_s)} ago`),
    element("p", "", stateOf(row)),
    element("ul", "", ...row.goals.map((goal) => element("li", "", `${goal.reached ? "✓" : "○"} ${goal.says}`))),
  ];
  if (row.drill?.title) {
    const [hit, hints] = [count(row.drill.transfers_hit, "transfer hit", "transfers hit"), count(row.drill.hints, "hint", "hints")];
    lines.push(element("p", "", `Drill ${row.drill.seed}, ${row.drill.title}: ${hit}, ${hints}`));
  }
  if (row.help) lines.push(element("p", "question", row.help.text));
  if (row.stuck) {
    const more = row.stuck_transfers > 1 ? `, and ${row.stuck_transfers - 1} more` : "";
    lines.push(element("p", "", `Stuck on ${row.stuck.what} for ${duration(row.stuck.for_s)}: ${row.stuck.workflow_id}, attempt ${row.stuck.attempt}${more}`));
    if (row.stuck.failure) lines.push(element("p", "faint", row.stuck.failure));
  }
  return [...lines, close];
}
