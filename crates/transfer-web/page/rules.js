// @ts-check
/** The rules that transfers broke, and how to start the stage again. */
import { command } from './copy.js';
import { byId, changed, html, show } from './dom.js';
import { evidenceItem } from './goals.js';
import { isRecord, list, number, record, text } from './outside.js';
import { beginButton } from './stages.js';

/** The server checks at most this many transfers of a stage. */
const CHECKED = 200;

/** @param {Record<string, any>} guide */
export function drawWrong(guide) {
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
  const isDrill = isRecord(guide.drill);
  show(byId('wrong-some'), !isDrill && (number(guide.transfers) ?? 0) >= CHECKED);
  const stage = text(guide.stage, 120);
  if (!changed(byId('remedy'), stage)) return;
  if (isDrill) {
    byId('remedy').replaceChildren(html('p', {}, 'These transfers started under the code in place. They count against it until you deploy other code.'));
    return;
  }
  byId('remedy').replaceChildren(
    html('p', {}, 'What these transfers did cannot be undone. Once your code is right, start the stage again:'),
    command(`cargo xtask stage ${stage}`),
    html('p', {}, 'or'),
    beginButton(stage, 'Start this stage again'),
  );
}
