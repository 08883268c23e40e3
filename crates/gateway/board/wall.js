// @ts-check
/** The wall view: the progress of the room for its projector, without names and failures. */

import { byId, count, drillCounts, element, fit, line, poll } from "/words.js";

/** A stage; `mark` says whether the room may go there. */
function row(stage, learners, mark) {
  const bar = document.createElement("progress");
  bar.max = Math.max(1, learners);
  bar.value = stage.done;
  bar.setAttribute("aria-label", `${stage.done} of ${learners} are done`);
  const name = element("th", "", `${stage.number}. ${stage.title}`, " ", mark);
  name.setAttribute("scope", "row");
  const numbers = [stage.here, stage.done].map((number) => element("td", "number", String(number)));
  return element("tr", stage.here ? "" : "empty", name, ...numbers, element("td", "bar", bar));
}

function show(wall) {
  byId("summary").textContent = wall.learners ? count(wall.learners, "learner", "learners") : "nobody has joined yet";
  line("announcement", wall.announcement?.text ?? "");
  line("drill", wall.drill ? `Drill ${wall.drill.seed}: ${drillCounts(wall.drill)}` : "");
  const share = wall.of ? wall.reached / wall.of : 0;
  line("reached", `Goals reached by the room: ${Math.floor(share * 100)}%`);
  /** @type {HTMLProgressElement} */ (byId("progress")).value = share;
  const last = wall.stages.findIndex((stage) => stage.name === wall.open);
  const rows = wall.stages.map((stage, at) => {
    const isLast = at === last;
    const mark = isLast ? element("span", "opened", "open up to here") : element("span", "closed", last >= 0 && at > last ? "not open yet" : "");
    return row(stage, wall.learners, mark);
  });
  byId("rows").replaceChildren(...rows);
  fit();
}

poll("/wall.json", show);
addEventListener("resize", fit);
