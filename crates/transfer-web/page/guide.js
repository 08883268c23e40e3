// @ts-check
/** The guide: the stage, its goals with their evidence, what is wrong, hints one at a time, and the stage's text. */
import { announce } from './announce.js';
import { command, setCopy } from './copy.js';
import { byId, changed, glyph, html, outLink, pathParts, pointLink, reconcile, setAttribute, setGlyph, setText, show } from './dom.js';
import { list, number, record, text, webAddress } from './outside.js';
import { beginButton } from './stages.js';
import { get, watch } from './store.js';
import { clock } from './time.js';

/** How many stages have a mark of their own at the top; more would be crumbs. */
const MOST_PIPS = 16;
/** So many transfers of a stage the server looks at, and no more. */
const LOOKED_AT = 200;

/**
 * Puts in HTML that the server made from the lab's own texts, and made safe. The only place where markup from outside
 * becomes elements. The page's policy forbids scripts and styles in it besides.
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

/** Which goals were reached when the guide last came, by stage: what is new since is worth a word. */
let knownStage = '';
/** @type {Set<string>} */
let knownGoals = new Set();
let knownReached = false;

/**
 * Where a piece of evidence is: `transfer-…, event 11 at 12:05:01`.
 * @param {Record<string, any>} evidence
 */
function whereOf(evidence) {
  const event = number(evidence.event_id);
  const parts = [text(evidence.workflow_id, 200), event === null ? '' : `event ${event}`].filter(Boolean).join(', ');
  const time = clock(evidence.time);
  return time && parts ? `${parts} at ${time}` : parts || time;
}

/**
 * A piece of evidence: where, linked to the Temporal UI, and what.
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
 * What to do next, with its command to copy.
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
  show(byId('wrong-some'), (number(guide.transfers) ?? 0) >= LOOKED_AT);
  const stage = text(guide.stage, 120);
  if (!changed(byId('remedy'), stage)) return;
  byId('remedy').replaceChildren(
    html('p', {}, 'What a transfer has done stays done: once the code is right, begin the stage again by'),
    command(`cargo xtask stage ${stage}`),
    html('p', {}, 'or press'),
    beginButton(stage, `Begin ${stage} again`),
  );
}

/**
 * What comes after the last goal, with a quiet celebration when that happens before one's eyes.
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
  if (!changed(place, [reached, next.command, next.name]) || !reached) return;
  const line = text(next.command, 200);
  place.replaceChildren(
    glyph('done'),
    html('p', { class: 'reached-title' }, 'Every goal is reached.'),
    html('p', {}, line ? 'The next stage begins when you type' : 'That was the last stage. Nothing is left to mend: well done.'),
    ...(line ? [command(line), html('p', {}, 'or press'), beginButton(text(next.name, 120), `Begin ${text(next.name, 120)}`)] : []),
  );
  if (justNow) byId('guide').scrollTop = 0;
}

/** Says aloud what was reached since the guide last came. @param {Record<string, any>} guide */
function tell(guide) {
  const stage = text(guide.stage, 120);
  const goals = list(guide.goals).map(record).filter((one) => one.reached === true);
  const fresh = stage === knownStage ? goals.filter((one) => !knownGoals.has(text(one.name, 120))) : [];
  for (const one of fresh) announce(`Goal reached: ${text(one.goal, 200)}`);
  const justNow = stage === knownStage && !knownReached && guide.reached === true;
  if (justNow) announce('Every goal of this stage is reached.');
  if (knownStage !== '' && stage !== knownStage) announce(`New stage: ${text(guide.title, 200)}`);
  knownStage = stage;
  knownGoals = new Set(goals.map((one) => text(one.name, 120)));
  knownReached = guide.reached === true;
  return justNow;
}

/** How many hints are open, by stage; for browsers that keep nothing. @type {Map<string, number>} */
const openHints = new Map();

/** @param {string} stage */
function revealed(stage) {
  let kept = null;
  try {
    kept = sessionStorage.getItem(`hints:${stage}`);
  } catch {
    // Some browsers refuse to keep anything: then the page remembers for as long as it is open.
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
  setText(button, shown === 0 ? 'Show a hint' : 'One more');
  const all = shown === hints.length && shown > 0;
  if (all && document.activeElement === button) {
    show(done, true);
    done.focus({ preventScroll: true });
  }
  show(button, !all);
  show(done, all);
  if (!all || !changed(done, guide.fixed_by)) return;
  const mended = text(guide.fixed_by, 120);
  done.replaceChildren(
    mended ? 'That was the last hint. The shipped fix is shown by' : 'That was the last hint.',
    ...(mended ? [command(`cargo xtask stage ${mended} --diff`)] : []),
  );
}

function oneMoreHint() {
  const guide = record(get('guide'));
  const shown = hintsShown(guide) + 1;
  reveal(text(guide.stage, 120), shown);
  drawHints(guide);
  announce(`Hint ${shown}: ${byId('hints').lastElementChild?.textContent ?? ''}`);
}

/** @param {unknown} value */
function draw(value) {
  const guide = record(value);
  const justNow = tell(guide);
  drawHead(guide);
  drawNext(guide, justNow);
  drawGoals(guide);
  drawWrong(guide);
  drawHints(guide);
  const prose = byId('stage-text');
  // Left alone unless it differs: somebody may be reading, or have selected a part of it.
  const sameStage = prose.dataset.stage === text(guide.stage, 120);
  if (changed(prose, guide.html)) {
    setServerHtml(prose, guide.html);
    if (!sameStage) byId('guide').scrollTop = 0;
  }
  prose.dataset.stage = text(guide.stage, 120);
}

export function startGuide() {
  byId('hint').addEventListener('click', oneMoreHint);
  watch('guide', draw);
}
