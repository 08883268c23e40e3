// @ts-check
/** The stages of the story: which there are, and entering one, as `cargo xtask stage NAME` does in a terminal. */
import { byId, html, reconcile, setAttribute, setText } from './dom.js';
import { ask, once, order, say, sentence } from './orders.js';
import { list, number, record, text } from './outside.js';
import { get, watch } from './store.js';

/** Entering a stage builds the worker, and may first bring transfers to where the stage begins. */
const ENTER_TIMEOUT_SECONDS = 600;

/** @type {Record<string, any>[]} */
let stages = [];
let loading = false;

/**
 * A button that enters a stage.
 * @param {string} name
 * @param {string} label
 */
export function beginButton(name, label) {
  return html('button', { type: 'button', class: 'begin', 'data-stage': name }, label);
}

/** The stage that is being entered, and the button that was pressed for it. @type {string} */
let entering = '';
/** @type {HTMLElement | null} */
let pressed = null;

/** @param {HTMLElement} button */
function enter(button) {
  const name = button.dataset.stage ?? '';
  const place = byId('stage-message');
  if (entering) {
    say(place, 'bad', `${entering} is being entered: wait until it is, then enter ${name === entering ? 'it again' : name}.`);
    place.scrollIntoView({ block: 'nearest' });
    return;
  }
  once(button, async () => {
    entering = name;
    pressed = button;
    say(place, '', `Entering ${name}: the worker is built and started, and the transfers are brought to where it begins.`);
    try {
      const entered = await order('/api/stage', { name }, ENTER_TIMEOUT_SECONDS);
      const saved = text(record(entered.saved).id, 120);
      const kept = saved ? ` What you had changed is saved; to bring it back: cargo xtask stage restore ${saved}` : '';
      say(place, 'ok', `${name} is entered.${kept}`);
    } catch (error) {
      say(place, 'bad', sentence(error));
    }
    entering = '';
    place.scrollIntoView({ block: 'nearest' });
  });
}

/** The button that was pressed may go away with the stage that it belonged to: then what came of it gets the focus. */
function keepFocus() {
  if (!pressed || pressed.checkVisibility()) return;
  const nowhere = document.activeElement === pressed || document.activeElement === document.body;
  pressed = null;
  if (nowhere) byId('stage-message').focus();
}

/** One stage: its number and title, its name, and the button that enters it. */
function stageItem() {
  const title = html('strong');
  const name = html('span', { class: 'quiet' });
  const button = beginButton('', '');
  const element = html('li', {}, html('div', {}, title, name), button);
  return {
    element,
    /** @param {Record<string, any>} stage */
    update(stage) {
      const own = text(stage.name, 120);
      const isCurrent = own === text(record(get('guide')).stage, 120);
      const label = isCurrent ? 'Begin again' : 'Begin';
      setAttribute(element, 'data-stage', own);
      setAttribute(element, 'aria-current', isCurrent ? 'step' : null);
      setText(title, `${number(stage.number) ?? ''}. ${text(stage.title, 200)}`);
      setText(name, stage.done === true ? `${own}, done` : own);
      setAttribute(button, 'data-stage', own);
      setAttribute(button, 'aria-label', `${label}: ${own}`);
      setText(button, label);
    },
  };
}

function draw() {
  reconcile(byId('stages'), stages, (stage) => stage.name, stageItem);
  keepFocus();
  load();
}

/** Asks which stages there are, when somebody wants to see them and it is not known. */
async function load() {
  if (loading || stages.length > 0 || !byId('stages-section').open) return;
  loading = true;
  try {
    const answer = await ask('/api/stage', AbortSignal.timeout(10_000));
    stages = list(answer.stages).map(record);
    if (stages.length > 0) draw();
  } catch {
    // Folded open again, or with the next news of the guide, it is asked for again.
  }
  loading = false;
}

export function startStages() {
  byId('guide').addEventListener('click', (/** @type {MouseEvent} */ event) => {
    const button = event.target instanceof Element ? event.target.closest('button.begin') : null;
    if (button instanceof HTMLElement) enter(button);
  });
  byId('stages-section').addEventListener('toggle', load);
  watch('guide', draw);
}
