// @ts-check
/** The steps of one transfer, as a compact row of bars: done, in progress, failing, failed, not started, not reached. */
import { attach, glyph, html, reconcile, setAttribute, setGlyph, setText } from './dom.js';
import { isRecord, list, record, text } from './outside.js';

/** Further steps are only counted. */
const MOST = 12;

/** @type {Record<string, string>} */
const SHORT = { check_balance_from: 'check from', check_balance_to: 'check to' };

/** @type {Record<string, string>} */
const IN_WORDS = {
  done: 'done',
  now: 'in progress',
  failing: 'failing',
  paused: 'paused',
  failed: 'failed',
  ended: 'not finished',
  skipped: 'not reached',
  todo: 'not started',
};

/** States that use the icon of another state. @type {Record<string, string>} */
const PICTURES = { skipped: 'ended' };

/** @typedef {{name: string, state: string, note?: string}} Step */

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
  const stuck = record(row.stuck);
  const isStuck = running && isRecord(row.stuck);
  const outcomes = record(row.outcomes);
  const has = (/** @type {string} */ name, /** @type {string[]} */ ...states) => states.includes(text(outcomes[name], 20));
  const gaveUp = names.some((name) => has(name, 'failed', 'timed_out', 'canceled'));
  return names.filter(Boolean).map((name) => {
    if (done.includes(name)) return { name, state: 'done', note: name === 'refund' ? text(row.returned, 60) : '' };
    if (has(name, 'failed', 'timed_out')) return { name, state: 'failed' };
    if (has(name, 'canceled') || (has(name, 'pending') && !running)) return { name, state: 'ended', note: IN_WORDS.ended };
    if (name !== current) return !running || gaveUp ? { name, state: 'skipped', note: IN_WORDS.skipped } : { name, state: 'todo' };
    if (isStuck && stuck.state === 'paused') return { name, state: 'paused', note: IN_WORDS.paused };
    if (isStuck && stuck.kind === 'activity') return { name, state: 'failing' };
    if (running) return { name, state: isStuck ? 'todo' : 'now' };
    return { name, state: 'todo' };
  });
}

function step() {
  const picture = glyph('todo');
  const label = html('span', { class: 'clip' });
  const state = html('span', { class: 'visually-hidden' });
  const note = html('span', { class: 'step-note' });
  const element = html('li', { class: 'step' }, picture, label, state);
  return {
    element,
    /** @param {Step} value */
    update(value) {
      setAttribute(element, 'data-step', value.name);
      setAttribute(element, 'data-state', value.state);
      setAttribute(element, 'title', value.name);
      setGlyph(picture, PICTURES[value.state] ?? value.state);
      setText(label, SHORT[value.name] ?? value.name.replaceAll('_', ' '));
      // The note is read out as well.
      setText(state, value.note === IN_WORDS[value.state] ? ': ' : `: ${IN_WORDS[value.state] ?? value.state}`);
      attach(note, Boolean(value.note), state);
      setText(note, value.note ?? '');
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
