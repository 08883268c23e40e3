// @ts-check
/** The list of stages, and starting one or a drill, as `cargo xtask stage NAME` and `cargo xtask drill NAME` do in a terminal. */
import { askConsent, savedParts } from './consent.js';
import { byId, html, reconcile, setAttribute, setText } from './dom.js';
import { ask, once, order, say, sentence } from './orders.js';
import { list, number, record, text } from './outside.js';
import { get, watch } from './store.js';

/** Starting a stage builds the worker and may prepare transfers first. */
const ENTER_TIMEOUT_SECONDS = 600;

/** @type {Record<string, any>[]} */
let stages = [];
let loading = false;

/**
 * A button that starts a stage.
 * @param {string} name
 * @param {string} label
 */
export function beginButton(name, label) {
  return html('button', { type: 'button', class: 'begin', 'data-stage': name }, label);
}

/** What is being started, and the button that was pressed. @type {string} */
let entering = '';
/** @type {HTMLElement | null} */
let pressed = null;

/**
 * `Stage 2`. While the list is not loaded, only the current stage and the next one have buttons.
 * @param {string} name
 */
function label(name) {
  const listed = stages.findIndex((stage) => stage.name === name) + 1;
  const guide = record(get('guide'));
  const current = number(guide.number) ?? 0;
  return `Stage ${listed || (text(guide.stage, 120) === name ? current : current + 1)}`;
}

/**
 * @param {HTMLElement} place
 * @param {string} name
 * @param {Record<string, any>} entered
 */
function sayEntered(place, name, entered) {
  const ready = `${name} is ready.`;
  const ended = list(entered.terminated).length;
  const terminated = ended === 0 ? '' : ` ${ended === 1 ? '1 transfer was' : `${ended} transfers were`} terminated.`;
  const earlier = entered.newer_in_place === true ? savedParts(entered.saved, 'Your earlier version is saved.') : [];
  if (entered.build_failed === true) say(place, 'bad', `${ready} Your code is in place, but it does not compile.${terminated}`, ...earlier);
  else if (entered.kept === true) say(place, 'ok', `${ready} Your code is in place.${terminated}`, ...earlier);
  else say(place, 'ok', `${ready}${terminated}`, ...savedParts(entered.saved, 'Your version is saved.'));
}

/**
 * Starts a stage, or a drill of an incident or a seed.
 * @param {HTMLElement} button
 * @param {{stage?: string, drill?: string}} what by default what the button names
 */
export function enter(button, { stage = '', drill } = button.dataset) {
  const name = drill ? 'The drill' : label(stage);
  const place = byId('stage-message');
  if (entering) {
    say(place, 'bad', `${entering} is still starting. Wait until it is ready, then try again.`);
    place.scrollIntoView({ block: 'nearest' });
    return;
  }
  once(button, async () => {
    entering = name;
    pressed = button;
    say(place, '', `Comparing your code with ${name.toLowerCase()}…`);
    place.scrollIntoView({ block: 'nearest' });
    try {
      const choice = await askConsent(drill ? `api/drill/${drill}` : `api/stage/${encodeURIComponent(stage)}`, name);
      if (choice === null) {
        say(place, '', 'Nothing was changed.');
      } else {
        say(place, '', `Starting ${name.toLowerCase()}: building the worker and preparing the transfers…`);
        if (drill) {
          const what = /^\d+$/.test(drill) ? { seed: Number(drill) } : { start: drill };
          const { entered } = await order('api/drill', { ...what, clean: choice.clean }, ENTER_TIMEOUT_SECONDS);
          sayEntered(place, name, record(entered));
        } else {
          sayEntered(place, name, await order('api/stage', { name: stage, ...choice }, ENTER_TIMEOUT_SECONDS));
        }
      }
    } catch (error) {
      say(place, 'bad', sentence(error));
    }
    entering = '';
    place.scrollIntoView({ block: 'nearest' });
  });
}

/** If the pressed button was removed together with its stage, the message gets the focus. */
function keepFocus() {
  if (!pressed || pressed.checkVisibility()) return;
  const nowhere = document.activeElement === pressed || document.activeElement === document.body;
  pressed = null;
  if (nowhere) byId('stage-message').focus();
}

/**
 * `2 of 3 goals reached`, or nothing where none is.
 * @param {string} name
 */
function goalsOf(name) {
  const stage = list(record(get('guide')).progress).map(record).find((one) => one.name === name) ?? {};
  if (stage.done === true) return 'done';
  const reached = number(stage.reached) ?? 0;
  return reached > 0 ? `${reached} of ${number(stage.of) ?? ''} goals reached` : '';
}

/** One stage: its number and title, how many of its goals are reached, and the button that enters it. */
function stageItem() {
  const title = html('strong');
  const goals = html('span', { class: 'quiet' });
  const button = beginButton('', '');
  const element = html('li', {}, html('div', {}, title, goals), button);
  return {
    element,
    /** @param {Record<string, any>} stage */
    update(stage) {
      const own = text(stage.name, 120);
      const isCurrent = own === text(record(get('guide')).stage, 120);
      const action = isCurrent ? 'Start again' : 'Start';
      setAttribute(element, 'data-stage', own);
      setAttribute(element, 'aria-current', isCurrent ? 'step' : null);
      setText(title, `${number(stage.number) ?? ''}. ${text(stage.title, 200)}`);
      setText(goals, goalsOf(own));
      setAttribute(button, 'data-stage', own);
      setAttribute(button, 'aria-label', `${action}: ${text(stage.title, 200)}`);
      setText(button, action);
    },
  };
}

function draw() {
  reconcile(byId('stages'), stages, (stage) => stage.name, stageItem);
  keepFocus();
  load();
}

/** Loads the list of stages when it is opened for the first time. */
async function load() {
  if (loading || stages.length > 0 || !byId('stages-section').open) return;
  loading = true;
  try {
    const answer = await ask('api/stage', AbortSignal.timeout(10_000));
    stages = list(answer.stages).map(record);
    if (stages.length > 0) draw();
  } catch {
    // Loaded again when the list is opened or the guide changes.
  }
  loading = false;
}

export function startStages() {
  byId('guide').addEventListener('click', (/** @type {MouseEvent} */ event) => {
    const button = event.target instanceof Element ? event.target.closest('button.begin') : null;
    if (button instanceof HTMLElement) enter(button);
  });
  byId('stages-section').addEventListener('toggle', async () => {
    await load();
    if (byId('stages-section').open) byId('stages-section').scrollIntoView({ block: 'nearest' });
  });
  watch('guide', draw);
}
