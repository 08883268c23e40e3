// @ts-check
/** Before the first transfer: the same transfer as a plain program, as `cargo xtask without-temporal` shows it. */
import { byId, html, setText, show } from './dom.js';
import { money } from './money.js';
import { once, order, say, sentence } from './orders.js';
import { list, record, text } from './outside.js';

/** The program may have to be built first. */
const RUN_TIMEOUT_SECONDS = 600;

/**
 * One moment: when it is, what each account has, and what is wrong with that.
 * @param {Record<string, any>} moment
 */
function momentItem(moment) {
  const balances = Object.entries(record(moment.balances)).slice(0, 10);
  const what = text(moment.what, 200);
  return html(
    'li',
    {},
    html('strong', {}, text(moment.when, 120)),
    ...balances.map(([account, balance]) => html('span', {}, `${text(account, 120)} ${money(balance)}`)),
    ...(what ? [html('span', { class: 'wrong-balance' }, what)] : []),
  );
}

/** @param {Record<string, any>} runs */
function drawRuns(runs) {
  setText(byId('without-title'), text(runs.title, 300));
  byId('without-moments').replaceChildren(...list(runs.moments).slice(0, 10).map(record).map(momentItem));
  setText(byId('without-conclusion'), text(runs.conclusion, 400));
  show(byId('without-runs'), true);
}

function run() {
  const place = byId('without-message');
  once(byId('without-run'), async () => {
    say(place, '', 'Building and running the plain program…');
    try {
      drawRuns(await order('api/without-temporal', {}, RUN_TIMEOUT_SECONDS));
      say(place, '', 'Now start the same transfer with Temporal, under New transfer.');
    } catch (error) {
      say(place, 'bad', sentence(error));
    }
  });
}

export function startWithout() {
  byId('without-run').addEventListener('click', run);
}
