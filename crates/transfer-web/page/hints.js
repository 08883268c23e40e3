// @ts-check
/** The hints of a stage, shown one at a time. */
import { announce } from './announce.js';
import { command } from './copy.js';
import { byId, changed, html, setText, show } from './dom.js';
import { act } from './drill.js';
import { recall, remember } from './entry.js';
import { isRecord, list, number, record, text } from './outside.js';
import { setServerHtml } from './prose.js';
import { get } from './store.js';

/**
 * The hints, how many there are, and how many of them are shown. A drill sends only those that are shown.
 * @param {Record<string, any>} guide
 */
function hintsOf(guide) {
  const drill = record(guide.drill);
  const hints = list(isRecord(guide.drill) ? drill.hints : guide.hints);
  if (isRecord(guide.drill)) return { hints, of: number(drill.hints_of) ?? 0, shown: hints.length };
  const shown = Math.max(number(guide.hints_shown) ?? 0, recall(guide).hints);
  return { hints, of: hints.length, shown: Math.min(hints.length, Math.max(0, Math.floor(shown))) };
}

/** @param {Record<string, any>} guide */
export function drawHints(guide) {
  const { hints, of, shown } = hintsOf(guide);
  const isEnded = isRecord(record(guide.drill).ended);
  const button = byId('hint');
  const done = byId('hints-done');
  show(byId('hints-section'), of > 0);
  setText(byId('hints-title'), shown > 0 ? `Hints: ${shown} of ${of}` : 'Hints');
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
  setText(button, `${shown === 0 ? 'Show a hint' : 'Show another hint'}${isRecord(guide.drill) ? ' (costs 10 points)' : ''}`);
  const all = isEnded || (shown === of && shown > 0);
  if (all && document.activeElement === button) {
    show(done, true);
    done.focus({ preventScroll: true });
  }
  show(button, !all);
  show(done, all);
  const fixedBy = text(isEnded ? record(guide.drill).fixed_by : guide.fixed_by, 120);
  if (!all || !changed(done, [isEnded, fixedBy])) return;
  const last = isEnded ? '' : 'That was the last hint. ';
  done.replaceChildren(
    fixedBy ? `${last}To see the shipped fix:` : last,
    ...(fixedBy ? [command(`cargo xtask stage ${fixedBy} --diff`)] : []),
  );
}

function showHint() {
  const guide = record(get('guide'));
  if (isRecord(guide.drill)) {
    act(byId('hint'), { hint: true }, announceLast);
    return;
  }
  const shown = hintsOf(guide).shown + 1;
  remember(guide, { hints: shown });
  drawHints(guide);
  announceLast();
}

function announceLast() {
  const { childElementCount: shown, lastElementChild: last } = byId('hints');
  announce(`Hint ${shown}: ${last?.textContent ?? ''}`);
}

export function startHints() {
  byId('hint').addEventListener('click', showHint);
}
