// @ts-check
/** The guide: the stage and its progress, the next stage, the story, and the stage's text. The rest is in tasks.js, goals.js, rules.js and hints.js. */
import { announce } from './announce.js';
import { command } from './copy.js';
import { byId, changed, glyph, html, setText, show } from './dom.js';
import { drawGoals } from './goals.js';
import { drawHints, startHints } from './hints.js';
import { say } from './orders.js';
import { isRecord, list, number, record, text } from './outside.js';
import { setServerHtml } from './prose.js';
import { drawWrong } from './rules.js';
import { beginButton } from './stages.js';
import { watch } from './store.js';
import { drawTasks, openTasks, startTasks } from './tasks.js';

/** With more stages than this, the bars at the top are too small to see. */
const MOST_BARS = 16;

/** The stage and the goals reached at the last update, to announce what is new. */
let knownStage = '';
/** @type {Set<string>} */
let knownGoals = new Set();
let knownComplete = false;

/**
 * A bar for a stage, filled in proportion to its reached goals.
 * @param {Record<string, any>} stage
 * @param {boolean} isCurrent
 */
function bar(stage, isCurrent) {
  const reached = number(stage.reached) ?? 0;
  const of = number(stage.of) ?? 0;
  const filled = html('i');
  filled.style.width = of > 0 ? `${Math.min(100, (100 * reached) / of)}%` : '0';
  const title = `${number(stage.number) ?? ''}. ${text(stage.title, 200)}: ${reached} of ${of} goals`;
  return html('span', { 'data-stage': text(stage.name, 120), 'data-reached': reached, 'data-now': isCurrent, title }, filled);
}

/** @param {Record<string, any>} guide */
function drawHead(guide) {
  const stage = number(guide.number);
  const of = number(guide.of);
  const isDrill = isRecord(guide.drill);
  const seed = number(record(guide.drill).seed);
  const onCall = seed === null ? 'On call: the lab is preparing the drill' : `On call, seed ${seed}`;
  setText(byId('stage-number'), isDrill ? onCall : stage === null ? '' : of === null ? `Stage ${stage}` : `Stage ${stage} of ${of}`);
  setText(byId('guide-title'), text(guide.title, 200) || 'Guide');
  const stages = list(guide.progress).map(record).slice(0, MOST_BARS);
  const done = stages.filter((one) => one.done === true).length;
  setText(byId('summary'), done === 0 ? 'No stage complete yet' : `${done} of ${of ?? stages.length} stages complete`);
  const pips = byId('pips');
  show(byId('summary'), !isDrill);
  show(pips, !isDrill);
  if (changed(pips, [stages, guide.stage])) pips.replaceChildren(...stages.map((one) => bar(one, one.name === guide.stage)));
}

/**
 * The next stage, once all goals are reached; animated if that has just happened.
 * @param {Record<string, any>} guide
 * @param {boolean} justNow
 */
function drawNext(guide, justNow) {
  const place = byId('next-stage');
  const next = record(guide.next_stage);
  const reached = guide.complete === true;
  show(place, reached);
  if (!reached) place.classList.remove('just-now');
  if (justNow) place.classList.add('just-now');
  const more = openTasks(guide);
  if (!changed(place, [reached, next.command, next.title, more, guide.complete_says]) || !reached) return;
  const line = text(next.command, 200);
  const title = text(next.title, 200) || text(next.name, 120);
  place.replaceChildren(
    glyph('done'),
    html('p', { class: 'reached-title' }, 'Stage complete'),
    ...[text(guide.complete_says, 600), more > 0 ? `${more === 1 ? 'One task is' : `${more} tasks are`} left, which you may skip.` : '']
      .filter(Boolean)
      .map((words) => html('p', {}, words)),
    html('p', {}, line ? `Continue: ${title}` : 'That was the last stage. Well done.'),
    ...(line ? nextStage(text(next.name, 120), line) : []),
  );
  if (!justNow) return;
  say(byId('stage-message'), '');
  // Whoever still has a task to do reads on where they are.
  if (more === 0) byId('guide').scrollTop = 0;
}

/**
 * How to continue: a button, and the same in a terminal.
 * @param {string} name
 * @param {string} line
 */
function nextStage(name, line) {
  const button = beginButton(name, 'Start the next stage');
  button.classList.add('primary');
  return [button, html('details', { class: 'terminal' }, html('summary', {}, 'In a terminal'), command(line))];
}

/** Announces what was reached since the last update. @param {Record<string, any>} guide */
function announceNews(guide) {
  const stage = text(guide.stage, 120);
  const goals = list(guide.goals).map(record).filter((one) => one.reached === true || one.earlier === true);
  const fresh = stage === knownStage ? goals.filter((one) => !knownGoals.has(text(one.name, 120))) : [];
  for (const one of fresh) announce(`Goal reached: ${text(one.goal, 200)}`);
  const justNow = stage === knownStage && !knownComplete && guide.complete === true;
  if (justNow) announce('Stage complete.');
  if (knownStage !== '' && stage !== knownStage) announce(`${isRecord(guide.drill) ? 'Drill' : 'New stage'}: ${text(guide.title, 200)}`);
  knownStage = stage;
  knownGoals = new Set(goals.map((one) => text(one.name, 120)));
  knownComplete = guide.complete === true;
  return justNow;
}

/**
 * The stage's text: folded while there is something to do, and right below *Stage complete* afterwards.
 * @param {Record<string, any>} guide
 */
function drawReading(guide) {
  const place = byId('stage-text');
  const isComplete = guide.complete === true;
  if (changed(place, guide.reading)) {
    place.replaceChildren(
      ...list(guide.reading).map(record).map((section) => {
        const body = html('div', { class: 'prose' });
        setServerHtml(body, section.html);
        return html('details', { class: 'reading' }, html('summary', {}, text(section.title, 120)), body);
      }),
    );
  }
  const before = isComplete ? byId('stage-message') : byId('hints-section');
  if (before.nextElementSibling === place) return;
  before.after(place);
  const first = place.querySelector('details');
  if (isComplete && first) first.open = true;
}

/** @param {unknown} value */
function draw(value) {
  const guide = record(value);
  const isNewStage = text(guide.stage, 120) !== knownStage;
  const justNow = announceNews(guide);
  drawHead(guide);
  drawNext(guide, justNow);
  if (changed(byId('story'), guide.html)) setServerHtml(byId('story'), guide.html);
  drawTasks(guide);
  drawGoals(guide);
  drawWrong(guide);
  drawHints(guide);
  drawReading(guide);
  if (isNewStage) byId('guide').scrollTop = 0;
}

export function startGuide() {
  startHints();
  startTasks();
  watch('guide', draw);
}
