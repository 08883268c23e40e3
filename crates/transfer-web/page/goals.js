// @ts-check
/** The goals of a stage, each with its evidence, or with what is missing. */
import { command } from './copy.js';
import { byId, changed, glyph, html, outLink, pathParts, pointLink, reconcile, setAttribute, setGlyph, setText, show } from './dom.js';
import { capitalized, list, number, record, text } from './outside.js';
import { clock } from './time.js';

/** More pieces of evidence than this for one goal are only counted. */
const MOST_EVIDENCE = 4;

/**
 * The source of a piece of evidence: `transfer-…, event 11 at 12:05:01`.
 * @param {Record<string, any>} evidence
 */
function whereOf(evidence) {
  const event = number(evidence.event_id);
  const parts = [text(evidence.workflow_id, 200), event === null ? '' : `event ${event}`].filter(Boolean).join(', ');
  const time = clock(evidence.time);
  return time && parts ? `${parts} at ${time}` : parts || time;
}

/**
 * A piece of evidence: its source, linked to the Temporal UI, and its text.
 * @param {Record<string, any>} evidence
 */
export function evidenceItem(evidence) {
  const where = whereOf(evidence) || 'Temporal UI';
  const link = outLink(where, 'inline-link');
  pointLink(link, evidence.ui_url);
  const place = link.hidden ? html('span', {}, where) : link;
  const meaning = text(evidence.meaning, 600);
  return html(
    'li',
    { class: 'evidence' },
    html('span', { class: 'where' }, place),
    html('span', { class: 'what' }, ...pathParts(text(evidence.what, 600))),
    ...(meaning ? [html('span', { class: 'meaning' }, meaning)] : []),
  );
}

/**
 * The first pieces of evidence, and how many more there are.
 * @param {Record<string, any>[]} evidence
 */
function evidenceItems(evidence) {
  const more = evidence.length - MOST_EVIDENCE;
  const items = evidence.slice(0, MOST_EVIDENCE).map(evidenceItem);
  return more > 0 ? [...items, html('li', { class: 'evidence' }, `and ${more} more`)] : items;
}

/**
 * The next thing to do, with its command to copy.
 * @param {Record<string, any>} step
 * @returns {(Node | string)[]}
 */
function nextParts(step) {
  const line = text(step.command, 400);
  return [capitalized(text(step.before, 600)), ...(line ? [command(line)] : []), text(step.after, 600)];
}

function goal() {
  const picture = glyph('todo');
  const label = html('span', { class: 'goal-text' });
  const state = html('span', { class: 'visually-hidden' });
  const evidence = html('ul', { class: 'evidences' });
  const step = html('div');
  const next = html('details', { class: 'goal-next' }, html('summary', {}, 'What is missing'), step);
  const since = html('p', { class: 'goal-since' });
  const element = html('li', { class: 'goal' }, picture, html('div', {}, html('p', {}, label, state), since, evidence, next));
  return {
    element,
    /** @param {Record<string, any>} value */
    update(value) {
      const isEarlier = value.earlier === true;
      const reached = value.reached === true || isEarlier;
      setAttribute(element, 'data-name', text(value.name, 120));
      setAttribute(element, 'data-reached', String(reached));
      setGlyph(picture, reached ? 'done' : 'todo');
      setText(label, text(value.goal, 600));
      setText(state, reached ? ' (reached)' : ' (open)');
      if (changed(evidence, value.evidence)) evidence.replaceChildren(...evidenceItems(list(value.evidence).map(record)));
      show(evidence, evidence.childElementCount > 0);
      setText(since, isEarlier ? `Reached earlier. Since then, this has changed: ${text(value.next, 600)}` : '');
      show(since, isEarlier);
      const isOpen = !reached && text(value.next, 600) !== '';
      show(next, isOpen);
      if (changed(step, isOpen ? value.next_step : null)) step.replaceChildren(...(isOpen ? nextParts(record(value.next_step)) : []));
    },
  };
}

/** @param {Record<string, any>} guide */
export function drawGoals(guide) {
  const goals = list(guide.goals).map(record);
  show(byId('goals-section'), goals.length > 0);
  const reached = goals.filter((one) => one.reached === true || one.earlier === true).length;
  setText(byId('goals-title'), `Goals: ${reached} of ${goals.length} reached`);
  reconcile(byId('goals'), goals, (one) => one.name, goal, byId('guide'));
  const error = text(guide.error, 400);
  setText(byId('goals-error'), error);
  show(byId('goals-error'), error !== '');
}
