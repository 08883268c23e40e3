// @ts-check
/** The steps of one transfer, as a compact row of bars: done, in progress, failing, not started. */
import { glyph, html, reconcile, setAttribute, setGlyph, setText } from './dom.js';
import { isRecord, list, record, text } from './outside.js';

/** Further steps are only counted. */
const MOST = 12;

/** @type {Record<string, string>} */
const SHORT = { check_balance_from: 'check from', check_balance_to: 'check to' };

/** @type {Record<string, string>} */
const IN_WORDS = { done: 'done', now: 'in progress', failing: 'failing', failed: 'failed', todo: 'not started' };

/** @typedef {{name: string, state: string}} Step */

/**
 * The steps of a row with the state of each. Names may repeat, be missing from the list, or be any text.
 * @param {Record<string, any>} row
 * @returns {Step[]}
 */
export function stepsOf(row) {
  const done = list(row.completed_steps).map((name) => text(name, 60));
  const current = text(row.current_step, 60) || text(record(row.stuck).step, 60);
  const names = list(row.steps).map((name) => text(name, 60));
  for (const name of [...done, current]) if (name && !names.includes(name)) names.push(name);
  const running = row.status === 'RUNNING';
  const failing = running && isRecord(row.stuck) && record(row.stuck).kind === 'activity';
  const failed = row.status === 'FAILED' || row.status === 'TIMED_OUT';
  return names.filter(Boolean).map((name) => {
    if (done.includes(name)) return { name, state: 'done' };
    if (name !== current) return { name, state: 'todo' };
    if (failing) return { name, state: 'failing' };
    if (running) return { name, state: isRecord(row.stuck) ? 'todo' : 'now' };
    return { name, state: failed ? 'failed' : 'todo' };
  });
}

function step() {
  const picture = glyph('todo');
  const label = html('span', { class: 'clip' });
  const state = html('span', { class: 'visually-hidden' });
  const element = html('li', { class: 'step' }, picture, label, state);
  return {
    element,
    /** @param {Step} value */
    update(value) {
      setAttribute(element, 'data-step', value.name);
      setAttribute(element, 'data-state', value.state);
      setAttribute(element, 'title', value.name);
      setGlyph(picture, value.state);
      setText(label, SHORT[value.name] ?? value.name.replaceAll('_', ' '));
      setText(state, `: ${IN_WORDS[value.state] ?? value.state}`);
    },
  };
}

/**
 * Draws the steps of a row into an `<ol>`.
 * @param {HTMLElement} place
 * @param {Record<string, any>} row
 */
export function drawSteps(place, row) {
  const steps = stepsOf(row);
  const shown = steps.slice(0, MOST);
  if (steps.length > MOST) shown.push({ name: `${steps.length - MOST} more`, state: 'todo' });
  reconcile(place, shown, (one) => one.name, step);
  place.hidden = shown.length === 0;
}
