// @ts-check
/** The guide: the stage, its goals with their evidence, broken rules, hints one at a time, and the stage's text. */
import { announce } from './announce.js';
import { command, setCopy } from './copy.js';
import { byId, changed, glyph, html, outLink, pathParts, pointLink, reconcile, setAttribute, setGlyph, setText, show } from './dom.js';
import { list, number, record, text, webAddress } from './outside.js';
import { beginButton } from './stages.js';
import { get, watch } from './store.js';
import { clock } from './time.js';

/** With more stages than this, the dots at the top would be too small to see. */
const MOST_PIPS = 16;
/** The server checks at most this many transfers of a stage. */
const CHECKED = 200;

/**
 * Inserts HTML that the server rendered from the lab's own texts and sanitized. This is the only place where markup from
 * outside becomes elements; the page's Content Security Policy also forbids scripts and styles in it.
 * @param {HTMLElement} place
 * @param {unknown} markup
 */
function setServerHtml(place, markup) {
  const template = document.createElement('template');
  template.innerHTML = typeof markup === 'string' ? markup : '';
  for (const link of template.content.querySelectorAll('a[href]')) {
    if (!webAddress(link.getAttribute('href'))) link.removeAttribute('href');
    else if (!link.getAttribute('href')?.startsWith('#')) {
      link.setAttribute('target', '_blank');
      link.setAttribute('rel', 'noopener noreferrer');
    }
  }
  for (const button of template.content.querySelectorAll('button.copy')) {
    if (button instanceof HTMLElement) setCopy(button, button.dataset.copy ?? '');
  }
  for (const code of template.content.querySelectorAll(':not(pre, .command) > code')) {
    if (code.childElementCount === 0) code.replaceChildren(...pathParts(code.textContent ?? ''));
  }
  place.replaceChildren(template.content);
}

/** The stage and the goals reached at the last update, to announce what is new. */
let knownStage = '';
/** @type {Set<string>} */
let knownGoals = new Set();
let knownReached = false;

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
function evidenceItem(evidence) {
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
 * The next thing to do, with its command to copy.
 * @param {Record<string, any>} step
 * @returns {(Node | string)[]}
 */
function nextParts(step) {
  const line = text(step.command, 400);
  return [`Next: ${text(step.before, 600)}`, ...(line ? [command(line)] : []), text(step.after, 600)];
}

function goal() {
  const picture = glyph('todo');
  const label = html('span', { class: 'goal-text' });
  const state = html('span', { class: 'visually-hidden' });
  const evidence = html('ul', { class: 'evidences' });
  const next = html('div', { class: 'goal-next' });
  const element = html('li', { class: 'goal' }, picture, html('div', {}, html('p', {}, label, state), evidence, next));
  return {
    element,
    /** @param {Record<string, any>} value */
    update(value) {
      const reached = value.reached === true;
      setAttribute(element, 'data-name', text(value.name, 120));
      setAttribute(element, 'data-reached', String(reached));
      setGlyph(picture, reached ? 'done' : 'todo');
      setText(label, text(value.goal, 600));
      setText(state, reached ? ' (reached)' : ' (open)');
      if (changed(evidence, value.evidence)) evidence.replaceChildren(...list(value.evidence).slice(0, 20).map(record).map(evidenceItem));
      show(evidence, evidence.childElementCount > 0);
      const isOpen = !reached && text(value.next, 600) !== '';
      show(next, isOpen);
      if (changed(next, isOpen ? value.next_step : null)) next.replaceChildren(...(isOpen ? nextParts(record(value.next_step)) : []));
    },
  };
}

/** @param {Record<string, any>} guide */
function drawHead(guide) {
  const stage = number(guide.number);
  const of = number(guide.of);
  setText(byId('stage-number'), stage === null ? '' : of === null ? `Stage ${stage}` : `Stage ${stage} of ${of}`);
  setText(byId('guide-title'), text(guide.title, 200) || text(guide.stage, 200) || 'Guide');
  setText(byId('summary'), text(guide.stage, 200));
  const pips = byId('pips');
  if (!changed(pips, [stage, of, guide.reached])) return;
  const marks = stage !== null && of !== null && of <= MOST_PIPS ? Math.max(0, Math.floor(of)) : 0;
  pips.replaceChildren(
    ...Array.from({ length: marks }, (_, index) => {
      const place = index + 1;
      const state = place < (stage ?? 0) || (place === stage && guide.reached === true) ? 'done' : place === stage ? 'now' : 'todo';
      return html('span', { 'data-state': state });
    }),
  );
}

/** @param {Record<string, any>} guide */
function drawGoals(guide) {
  const goals = list(guide.goals).map(record);
  show(byId('goals-section'), goals.length > 0);
  const reached = goals.filter((one) => one.reached === true).length;
  setText(byId('goals-title'), `Goals: ${reached} of ${goals.length} reached`);
  reconcile(byId('goals'), goals, (one) => one.name, goal, byId('guide'));
  const error = text(guide.error, 400);
  setText(byId('goals-error'), error);
  show(byId('goals-error'), error !== '');
}

/** @param {Record<string, any>} guide */
function drawWrong(guide) {
  const wrong = list(guide.wrong).slice(0, 20).map(record);
  show(byId('wrong'), wrong.length > 0);
  if (changed(byId('wrong-list'), wrong)) {
    byId('wrong-list').replaceChildren(
      ...wrong.map((one) => {
        const item = evidenceItem(one);
        item.className = 'wrong-item';
        return item;
      }),
    );
  }
  show(byId('wrong-some'), (number(guide.transfers) ?? 0) >= CHECKED);
  const stage = text(guide.stage, 120);
  if (!changed(byId('remedy'), stage)) return;
  byId('remedy').replaceChildren(
    html('p', {}, 'What these transfers did cannot be undone. Once your code is right, start the stage again:'),
    command(`cargo xtask stage ${stage}`),
    html('p', {}, 'or'),
    beginButton(stage, 'Start this stage again'),
  );
}

/**
 * The next stage, once all goals are reached; animated if that has just happened.
 * @param {Record<string, any>} guide
 * @param {boolean} justNow
 */
function drawNext(guide, justNow) {
  const place = byId('next-stage');
  const next = record(guide.next_stage);
  const reached = guide.reached === true;
  show(place, reached);
  if (!reached) place.classList.remove('just-now');
  if (justNow) place.classList.add('just-now');
  if (!changed(place, [reached, next.command, next.title]) || !reached) return;
  const line = text(next.command, 200);
  const title = text(next.title, 200) || text(next.name, 120);
  place.replaceChildren(
    glyph('done'),
    html('p', { class: 'reached-title' }, 'Stage complete'),
    html('p', {}, line ? `Continue: ${title}` : 'That was the last stage. Well done.'),
    ...(line ? [command(line), html('p', {}, 'or'), beginButton(text(next.name, 120), 'Start the next stage')] : []),
  );
  if (justNow) byId('guide').scrollTop = 0;
}

/** Announces what was reached since the last update. @param {Record<string, any>} guide */
function announceNews(guide) {
  const stage = text(guide.stage, 120);
  const goals = list(guide.goals).map(record).filter((one) => one.reached === true);
  const fresh = stage === knownStage ? goals.filter((one) => !knownGoals.has(text(one.name, 120))) : [];
  for (const one of fresh) announce(`Goal reached: ${text(one.goal, 200)}`);
  const justNow = stage === knownStage && !knownReached && guide.reached === true;
  if (justNow) announce('Stage complete.');
  if (knownStage !== '' && stage !== knownStage) announce(`New stage: ${text(guide.title, 200)}`);
  knownStage = stage;
  knownGoals = new Set(goals.map((one) => text(one.name, 120)));
  knownReached = guide.reached === true;
  return justNow;
}

/** How many hints are open, by stage, for browsers without session storage. @type {Map<string, number>} */
const openHints = new Map();

/** @param {string} stage */
function revealed(stage) {
  let kept = null;
  try {
    kept = sessionStorage.getItem(`hints:${stage}`);
  } catch {
    // Without session storage, the page remembers until it is closed.
  }
  return Math.max(openHints.get(stage) ?? 0, Number.parseInt(kept ?? '0', 10) || 0);
}

/** @param {string} stage @param {number} count */
function reveal(stage, count) {
  openHints.set(stage, count);
  try {
    sessionStorage.setItem(`hints:${stage}`, String(count));
  } catch {
    // As above.
  }
}

/**
 * @param {Record<string, any>} guide
 * @returns {number} how many hints are shown
 */
function hintsShown(guide) {
  const shown = Math.max(number(guide.hints_shown) ?? 0, revealed(text(guide.stage, 120)));
  return Math.min(list(guide.hints).length, Math.max(0, Math.floor(shown)));
}

/** @param {Record<string, any>} guide */
function drawHints(guide) {
  const hints = list(guide.hints);
  const shown = hintsShown(guide);
  const button = byId('hint');
  const done = byId('hints-done');
  show(byId('hints-section'), hints.length > 0);
  setText(byId('hints-title'), shown > 0 ? `Hints: ${shown} of ${hints.length}` : 'Hints');
  if (changed(byId('hints'), hints.slice(0, shown))) {
    byId('hints').replaceChildren(
      ...hints.slice(0, shown).map((hint) => {
        const item = html('li', { class: 'hint prose' });
        setServerHtml(item, hint);
        return item;
      }),
    );
  }
  show(byId('hints'), shown > 0);
  setText(button, shown === 0 ? 'Show a hint' : 'Show another hint');
  const all = shown === hints.length && shown > 0;
  if (all && document.activeElement === button) {
    show(done, true);
    done.focus({ preventScroll: true });
  }
  show(button, !all);
  show(done, all);
  if (!all || !changed(done, guide.fixed_by)) return;
  const fixedBy = text(guide.fixed_by, 120);
  done.replaceChildren(
    fixedBy ? 'That was the last hint. To see the shipped fix:' : 'That was the last hint.',
    ...(fixedBy ? [command(`cargo xtask stage ${fixedBy} --diff`)] : []),
  );
}

function showHint() {
  const guide = record(get('guide'));
  const shown = hintsShown(guide) + 1;
  reveal(text(guide.stage, 120), shown);
  drawHints(guide);
  announce(`Hint ${shown}: ${byId('hints').lastElementChild?.textContent ?? ''}`);
}

/** @param {unknown} value */
function draw(value) {
  const guide = record(value);
  const justNow = announceNews(guide);
  drawHead(guide);
  drawNext(guide, justNow);
  drawGoals(guide);
  drawWrong(guide);
  drawHints(guide);
  const prose = byId('stage-text');
  // Replaced only if it differs: somebody may be reading it, or have selected a part of it.
  const sameStage = prose.dataset.stage === text(guide.stage, 120);
  if (changed(prose, guide.html)) {
    setServerHtml(prose, guide.html);
    if (!sameStage) byId('guide').scrollTop = 0;
  }
  prose.dataset.stage = text(guide.stage, 120);
}

export function startGuide() {
  byId('hint').addEventListener('click', showHint);
  watch('guide', draw);
}
