// @ts-check
/**
 * What the learner decides before a stage starts: which code to use, and whether to terminate transfers that are stuck from earlier
 * stages. Nothing changes before that. Afterwards, the learner can compare and restore the saved version.
 */
import { openDialog, prepareDialog } from './dialog.js';
import { drawDiff } from './diff.js';
import { byId, html, setText, show } from './dom.js';
import { ask, once, order, say, sentence } from './orders.js';
import { list, record, text } from './outside.js';

/** Restoring builds the worker. */
const RESTORE_TIMEOUT_SECONDS = 600;
const QUESTION_TIMEOUT_MS = 30_000;

/** @typedef {{keep: boolean, clean: boolean}} Choice */

/** Takes the answer of the open dialog. @type {(choice: Choice | null) => void} */
let answer = () => {};
/** The saved version that the open dialog compares. */
let compared = '';

/**
 * Asks what to do with the learner's code and with transfers from earlier stages, if there is anything to decide.
 * @param {string} path where the server says what is to be decided
 * @param {string} name what starts: `Stage 2`, or `The drill`
 * @returns {Promise<Choice | null>} null if the learner cancels
 */
export async function askConsent(path, name) {
  const question = await ask(path, AbortSignal.timeout(QUESTION_TIMEOUT_MS));
  const hasEdit = list(question.edit).length > 0;
  const leftovers = list(question.leftovers).map(record);
  if (!hasEdit && leftovers.length === 0) return { keep: false, clean: false };

  const title = text(question.title, 200);
  const isDrill = path.startsWith('api/drill/');
  setText(byId('consent-title'), `Start ${name.toLowerCase()}: ${title}`);
  show(byId('consent-code'), hasEdit);
  drawDiff(byId('consent-diff'), question.edit);
  setText(byId('consent-shipped-label'), shippedLabel(question));
  // An incident is about its own code.
  show(byId('consent-choice'), !isDrill);
  if (isDrill) setText(byId('consent-why'), 'The drill installs its own code. Yours is saved first, and you can restore it.');
  else setText(byId('consent-why'), question.has_bug === true ? 'This stage is about new code by Jerry. Nothing is wrong with yours.' : '');
  byId(question.keeps_by_default === true && !isDrill ? 'consent-keep' : 'consent-shipped').checked = true;
  show(byId('consent-leftovers'), leftovers.length > 0);
  byId('consent-list').replaceChildren(...leftovers.slice(0, 50).map((one) => html('li', {}, text(one.says, 600))));
  setText(byId('consent-clean-label'), leftovers.length === 1 ? 'Terminate it' : `Terminate these ${leftovers.length}`);
  byId('consent-clean').checked = false;

  return new Promise((resolve) => {
    answer = resolve;
    openDialog(byId('consent-dialog'));
  });
}

/** @param {Record<string, any>} question */
function shippedLabel(question) {
  if (question.is_fix === true) return 'Use the shipped fix';
  return question.has_bug === true ? "Use Jerry's new code" : 'Use the shipped code';
}

/** @param {Choice | null} choice */
function decide(choice) {
  answer(choice);
  byId('consent-dialog').close();
}

/**
 * The buttons for a saved version.
 * @param {unknown} saved the backup, as the server reports it
 * @param {string} words what was saved
 * @returns {(Node | string)[]}
 */
export function savedParts(saved, words) {
  const id = text(record(saved).id, 200);
  if (!id) return [];
  const button = (/** @type {string} */ name, /** @type {string} */ label) => html('button', { type: 'button', class: name, 'data-edit': id }, label);
  return [` ${words} `, html('span', { class: 'saved-edit' }, button('compare-edit', 'Compare'), ' ', button('restore-edit', 'Restore'))];
}

/** @param {string} id @param {HTMLElement} button */
function restore(id, button) {
  const place = byId('stage-message');
  return once(button, async () => {
    byId('compare-dialog').close();
    say(place, '', 'Restoring your version and building the worker…');
    place.focus();
    try {
      const restored = await order(`api/saved-edits/${encodeURIComponent(id)}`, {}, RESTORE_TIMEOUT_SECONDS);
      const failed = restored.build_failed === true ? ' It does not compile yet.' : '';
      say(place, failed ? 'bad' : 'ok', `Your version is restored.${failed}`, ...savedParts(restored.saved, 'The replaced code is saved too.'));
    } catch (error) {
      say(place, 'bad', sentence(error));
    }
  });
}

/** @param {string} id */
async function compare(id) {
  const place = byId('stage-message');
  try {
    const edit = await ask(`api/saved-edits/${encodeURIComponent(id)}`, AbortSignal.timeout(QUESTION_TIMEOUT_MS));
    const isSame = list(edit.diff).length === 0;
    compared = id;
    show(byId('compare-same'), isSame);
    show(byId('compare-diff'), !isSame);
    drawDiff(byId('compare-diff'), edit.diff);
    openDialog(byId('compare-dialog'));
  } catch (error) {
    say(place, 'bad', sentence(error));
  }
}

export function startConsent() {
  const dialog = byId('consent-dialog');
  prepareDialog(dialog, byId('consent-cancel'));
  // Also after Escape and a click outside. After an answer, this does nothing.
  dialog.addEventListener('close', () => answer(null));
  byId('consent-form').addEventListener('submit', (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    decide({ keep: !byId('consent-code').hidden && byId('consent-keep').checked, clean: byId('consent-clean').checked });
  });
  prepareDialog(byId('compare-dialog'), byId('compare-close'));
  byId('compare-restore').addEventListener('click', (/** @type {MouseEvent} */ event) => {
    if (event.currentTarget instanceof HTMLElement) restore(compared, event.currentTarget);
  });
  byId('stage-message').addEventListener('click', (/** @type {MouseEvent} */ event) => {
    const button = event.target instanceof Element ? event.target.closest('[data-edit]') : null;
    if (!(button instanceof HTMLElement)) return;
    const id = button.dataset.edit ?? '';
    if (button.classList.contains('restore-edit')) restore(id, button);
    else once(button, () => compare(id));
  });
}
