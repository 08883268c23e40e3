// @ts-check
/** Before the first transfer, the guide is the widest column, and in the first stage it begins with a welcome. */
import { byId, setAttribute, show } from './dom.js';
import { number, record, text } from './outside.js';
import { reveal } from './reveal.js';
import { get, watch } from './store.js';

/** The stage before which nobody has seen what Temporal does. */
const FIRST_STAGE = 'jerry';

function draw() {
  const transfers = get('transfers');
  if (transfers === undefined) return;
  const isFresh = (number(record(transfers).total) ?? 0) === 0;
  const isFirst = isFresh && text(record(get('guide')).stage, 120) === FIRST_STAGE;
  setAttribute(byId('tabs').parentElement, 'data-fresh', isFresh);
  show(byId('welcome'), isFirst);
  show(byId('without-section'), isFirst);
  // The welcome says the same.
  show(byId('story'), !isFirst);
}

export function startWelcome() {
  byId('welcome-begin').addEventListener('click', () => {
    reveal('submit');
    byId('submit').click();
  });
  watch('guide', draw);
  watch('transfers', draw);
}
