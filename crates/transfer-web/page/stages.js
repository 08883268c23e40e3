// @ts-check
/** The stages of the story: which there are, and entering one, as `cargo xtask stage NAME` does in a terminal. */
import { announce } from './announce.js';
import { byId, changed, html } from './dom.js';
import { ask, once, order, say, sentence } from './orders.js';
import { list, record, text } from './outside.js';
import { get, watch } from './store.js';

/** Entering a stage builds the worker, and may first bring transfers to where the stage begins. */
const PATIENCE = 600;

/** @type {Record<string, any>[]} */
let stages = [];

/**
 * A button that enters a stage.
 * @param {string} name
 * @param {string} label
 */
export function beginButton(name, label) {
  return html('button', { type: 'button', class: 'begin', 'data-stage': name }, label);
}

/** @param {HTMLElement} button */
function enter(button) {
  const name = button.dataset.stage ?? '';
  const place = byId('stage-message');
  return once(button, async () => {
    say(place, '', `Entering ${name}: the worker is built and started, and the transfers are brought to where it begins.`);
    place.scrollIntoView({ block: 'nearest' });
    try {
      const entered = await order('/api/stage', { name }, PATIENCE);
      const saved = text(record(entered.saved).id, 120);
      const kept = saved ? ` What you had changed is saved; to bring it back: cargo xtask stage restore ${saved}` : '';
      say(place, 'ok', `${name} is entered.${kept}`);
    } catch (error) {
      say(place, 'bad', sentence(error));
      announce(sentence(error));
    }
  });
}

function draw() {
  const current = text(record(get('guide')).stage, 120);
  const place = byId('stages');
  if (!changed(place, [stages, current])) return;
  place.replaceChildren(
    ...stages.map((stage) => {
      const name = text(stage.name, 120);
      const isCurrent = name === current;
      const button = beginButton(name, isCurrent ? 'Begin again' : 'Begin');
      button.setAttribute('aria-label', `${isCurrent ? 'Begin again' : 'Begin'}: ${name}`);
      return html(
        'li',
        { 'data-stage': name, 'aria-current': isCurrent ? 'step' : null },
        html('div', {}, html('strong', {}, name), html('span', { class: 'quiet' }, text(stage.summary, 300))),
        button,
      );
    }),
  );
}

async function load() {
  if (stages.length > 0) return;
  try {
    const answer = await ask('/api/stage', AbortSignal.timeout(10_000));
    stages = list(answer.stages).map(record);
    draw();
  } catch {
    // Folded open again, or with the next news of the guide, it is asked for again.
  }
}

export function startStages() {
  byId('guide').addEventListener('click', (/** @type {MouseEvent} */ event) => {
    const button = event.target instanceof Element ? event.target.closest('button.begin') : null;
    if (button instanceof HTMLElement) enter(button);
  });
  byId('stages-section').addEventListener('toggle', load);
  watch('guide', draw);
}
