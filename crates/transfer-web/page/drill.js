// @ts-check
/** A drill, in place of a stage's text: its ticket, clock and numbers, how it ends, and its report. Also the list of incidents to start one. */
import { announce } from './announce.js';
import { openDialog, prepareDialog } from './dialog.js';
import { byId, changed, html, pathParts, reconcile, setAttribute, setText, show } from './dom.js';
import { once, order, say, sentence } from './orders.js';
import { capitalized, isRecord, list, number, record, text } from './outside.js';
import { setServerHtml } from './prose.js';
import { beginButton, enter } from './stages.js';
import { get, put, watch } from './store.js';
import { everySecond, now } from './time.js';

/** Seeds that the page chooses are short enough to be told to somebody. */
const SEEDS = 100_000;

/** @returns {Record<string, any>} empty at a stage */
const current = () => record(record(get('guide')).drill);

/** Later moments are only in the report's file. */
const MOST_MOMENTS = 200;

/** The drill whose end was announced, and its start. */
let reported = '';

/**
 * `12:05` or `1:02:05`.
 * @param {number} seconds
 */
function minutes(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60].slice(s < 3600 ? 1 : 0);
  return parts.map((part, at) => (at === 0 ? part : String(part).padStart(2, '0'))).join(':');
}

/** @param {unknown} time in RFC 3339 */
const seconds = (time) => Date.parse(text(time, 60)) / 1000;

function drawClock() {
  const { started, ended } = current();
  if (!started) return;
  setText(byId('drill-clock'), minutes((ended ? seconds(ended.time) : now()) - seconds(started)));
}

/** The report, once the drill has ended. @param {Record<string, any>} drill */
function drawReport(drill) {
  const report = record(drill.report);
  const title = capitalized(text(report.headline, 200)) || 'The drill has ended';
  setText(byId('drill-report-title'), title);
  if (changed(byId('drill-facts'), report.facts)) {
    const facts = list(report.facts).map((pair) => list(pair).map((part) => text(part, 200)));
    byId('drill-facts').replaceChildren(...facts.map(([name, value]) => html('div', {}, html('dt', {}, capitalized(name)), html('dd', {}, value))));
  }
  if (changed(byId('drill-timeline'), report.timeline)) {
    byId('drill-timeline').replaceChildren(...list(report.timeline).slice(0, MOST_MOMENTS).map(record).map(moment));
  }
  if (changed(byId('drill-explanation'), drill.explanation)) setServerHtml(byId('drill-explanation'), drill.explanation);
  const name = `${text(drill.incident, 120)} ${text(drill.started, 60)}`;
  if (reported === name) return;
  reported = name;
  announce(title);
  byId('guide').scrollTop = 0;
}

/** @param {Record<string, any>} one */
function moment(one) {
  const id = text(one.workflow_id, 200);
  return html('li', {}, html('span', { class: 'quiet' }, minutes(number(one.seconds) ?? 0)), html('span', {}, ...pathParts(text(one.what, 300)), id ? ` (${id})` : ''));
}

/** @param {unknown} value */
function draw(value) {
  const guide = record(value);
  const drill = record(guide.drill);
  const isOn = isRecord(guide.drill);
  const isEnded = isRecord(drill.ended);
  const actions = byId('drill-actions');
  const hadFocus = actions.contains(document.activeElement);
  show(byId('drill'), isOn);
  show(byId('drill-report'), isEnded);
  // While the lab is preparing it, there is nothing to end.
  show(actions, isOn && !isEnded && drill.seed !== null);
  reconcile(byId('incidents'), list(guide.incidents).map(record), (one) => one.name, incident);
  if (!isOn) return;
  if (changed(actions, drill.started)) say(byId('drill-message'), '');
  if (changed(byId('drill-ticket'), drill.ticket)) setServerHtml(byId('drill-ticket'), drill.ticket);
  const numbers = record(drill.numbers);
  for (const name of ['in_progress', 'hit', 'safe', 'closed']) setText(byId(`drill-${name}`), String(number(numbers[name]) ?? 0));
  setText(byId('drill-safe_of'), String(number(numbers.safe_of) ?? ''));
  setAttribute(byId('drill-finish'), 'class', drill.is_recovered === true ? 'primary' : null);
  drawClock();
  if (isEnded) drawReport(drill);
  if (isEnded && hadFocus) byId('drill-report-title').focus({ preventScroll: true });
}

/** An incident that a drill can be about. */
function incident() {
  const title = html('strong');
  const done = html('span', { class: 'quiet' });
  const button = beginButton('', 'Start');
  const element = html('li', {}, html('div', {}, title, done), button);
  return {
    element,
    /** @param {Record<string, any>} one */
    update(one) {
      const name = text(one.name, 120);
      const isCurrent = name === current().incident;
      setAttribute(element, 'data-incident', name);
      setAttribute(element, 'aria-current', isCurrent ? 'step' : null);
      setText(title, text(one.title, 200));
      setText(done, one.done === true ? 'done' : '');
      setAttribute(button, 'data-drill', name);
      setText(button, isCurrent ? 'Start again' : 'Start');
      setAttribute(button, 'aria-label', `${isCurrent ? 'Start again' : 'Start'}: ${text(one.title, 200)}`);
    },
  };
}

/**
 * Sends what a button of the drill asks for.
 * @param {HTMLElement} button
 * @param {object} what
 * @param {(drill: Record<string, any>) => void} [then] is given the drill as it is afterwards
 */
export function act(button, what, then = () => {}) {
  const place = byId('drill-message');
  return once(button, async () => {
    say(place, '');
    try {
      const { drill } = await order('api/drill', what);
      if (isRecord(drill)) put('guide', { ...record(get('guide')), drill });
      then(record(drill));
    } catch (error) {
      say(place, 'bad', sentence(error));
    }
  });
}

/** @param {SubmitEvent} event */
function startSeed(event) {
  event.preventDefault();
  const field = byId('drill-seed');
  const isNumber = /^\d{1,15}$/.test(field.value.trim());
  setAttribute(field, 'aria-invalid', isNumber ? null : 'true');
  setText(byId('drill-seed-error'), isNumber ? '' : 'A seed is a whole number, such as 42.');
  if (!isNumber) return field.focus();
  enter(byId('drill-seed-start'), { drill: field.value.trim() });
}

export function startDrill() {
  const dialog = byId('give-up-dialog');
  prepareDialog(dialog, byId('give-up-cancel'));
  byId('drill-finish').addEventListener('click', () => act(byId('drill-finish'), { finish: true }));
  byId('drill-give-up').addEventListener('click', () => openDialog(dialog));
  byId('give-up-confirm').addEventListener('click', () => {
    dialog.close();
    act(byId('drill-give-up'), { give_up: true });
  });
  byId('drill-random').addEventListener('click', () => {
    enter(byId('drill-random'), { drill: String(1 + Math.floor(Math.random() * SEEDS)) });
  });
  byId('drill-seed-form').addEventListener('submit', startSeed);
  everySecond(drawClock);
  watch('guide', draw);
}
