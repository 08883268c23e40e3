// @ts-check
/** The hints of a stage, shown one at a time. */
import { announce } from './announce.js';
import { command } from './copy.js';
import { byId, changed, html, setText, show } from './dom.js';
import { recall, remember } from './entry.js';
import { list, number, record, text } from './outside.js';
import { setServerHtml } from './prose.js';
import { get } from './store.js';

/**
 * @param {Record<string, any>} guide
 * @returns {number} how many hints are shown
 */
function hintsShown(guide) {
  const shown = Math.max(number(guide.hints_shown) ?? 0, recall(guide).hints);
  return Math.min(list(guide.hints).length, Math.max(0, Math.floor(shown)));
}

/** @param {Record<string, any>} guide */
export function drawHints(guide) {
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
  remember(guide, { hints: shown });
  drawHints(guide);
  announce(`Hint ${shown}: ${byId('hints').lastElementChild?.textContent ?? ''}`);
}

export function startHints() {
  byId('hint').addEventListener('click', showHint);
}
