// @ts-check
/** The history of one account, in a dialog: what it has sent and received. It stays current while it is open. */
import { openDialog, prepareDialog } from './dialog.js';
import { byId, html, outLink, pointLink, reconcile, setAttribute, setText, show } from './dom.js';
import { money } from './money.js';
import { ask, say, sentence } from './orders.js';
import { list, number, record, text } from './outside.js';
import { statusOf, statusPill } from './state.js';
import { watch } from './store.js';
import { ago, everySecond } from './time.js';

/** At most one question in this many milliseconds, however often something changes. */
const REST = 1500;

/** Whose history is open. */
let account = '';
/** @type {AbortController | null} */
let underWay = null;
let asked = 0;
/** @type {number | undefined} */
let later;

/** Sums of the summary, and what they are called. */
const SUMS = /** @type {const} */ ([
  ['total_sent', 'Sent'],
  ['total_received', 'Received'],
  ['net_change', 'Net change'],
]);
const COUNTS = /** @type {const} */ ([
  ['transaction_count', 'Transfers'],
  ['completed_count', 'Completed'],
  ['running_count', 'Under way'],
  ['failed_count', 'Failed'],
]);

/** @param {unknown} value */
function drawSummary(value) {
  const summary = record(value);
  const cells = [
    ...SUMS.map(([name, label]) => [label, money(summary[name])]),
    ...COUNTS.map(([name, label]) => [label, number(summary[name])?.toLocaleString('en-US') ?? '']),
  ].filter(([, shown]) => shown !== '');
  byId('history-summary').replaceChildren(
    ...cells.map(([label, shown]) => html('div', {}, html('dt', {}, label), html('dd', {}, shown))),
  );
  show(byId('history-summary'), cells.length > 0);
}

/** One transfer of the account. */
function movement() {
  const link = outLink('', 'inline-link mono clip');
  const id = link.firstChild ?? link;
  const counterparty = html('span', { class: 'clip' });
  const direction = html('span', { class: 'quiet' });
  const amount = html('td', { class: 'number' });
  const status = statusPill();
  const age = html('td', { class: 'quiet nowrap' });
  const plainId = html('span', { class: 'mono clip' });
  const element = html(
    'tr',
    { class: 'movement' },
    html('td', {}, link, plainId),
    html('td', {}, direction, ' ', counterparty),
    amount,
    html('td', {}, status.element),
    age,
  );
  return {
    element,
    /** @param {any} row */
    update(row) {
      const workflow = text(row.workflow_id, 200);
      const sent = row.direction === 'sent';
      setAttribute(element, 'data-workflow-id', workflow);
      setAttribute(element, 'data-direction', sent ? 'sent' : 'received');
      setText(id, workflow);
      pointLink(link, row.ui_url);
      setText(plainId, link.hidden ? workflow : '');
      setText(direction, sent ? 'to' : 'from');
      setText(counterparty, text(row.counterparty, 200) || 'not known');
      const moved = money(record(row.input).amount);
      setText(amount, moved ? `${sent ? '−' : '+'}${moved}` : '');
      status.update(statusOf(row));
      const started = number(row.start_time);
      setText(age, started === null ? '' : ago(started));
    },
  };
}

async function load() {
  clearTimeout(later);
  underWay?.abort();
  const mine = new AbortController();
  underWay = mine;
  asked = performance.now();
  const state = byId('history-state');
  try {
    const answer = await ask(`/api/accounts/${encodeURIComponent(account)}/workflows`, mine.signal);
    if (underWay !== mine) return;
    const rows = list(answer.workflows).map(record);
    drawSummary(answer.summary);
    reconcile(byId('history-rows'), rows, (row) => `${row.workflow_id} ${row.direction}`, movement, byId('history-scroll'));
    show(byId('history-scroll'), rows.length > 0);
    if (rows.length === 0) say(state, '', 'This account has sent and received nothing yet.');
    else if (state.textContent !== '') say(state, '');
  } catch (error) {
    if (mine.signal.aborted || underWay !== mine) return;
    say(state, 'bad', sentence(error));
  }
  if (underWay === mine) underWay = null;
}

/** Asks again, now or a little later, after something has changed. */
function refresh() {
  if (!byId('history-dialog').open) return;
  clearTimeout(later);
  later = setTimeout(load, Math.max(0, REST - (performance.now() - asked)));
}

/**
 * Opens the history of an account.
 * @param {string} name
 */
export function openHistory(name) {
  account = name;
  setText(byId('history-title'), name);
  show(byId('history-summary'), false);
  show(byId('history-scroll'), false);
  reconcile(byId('history-rows'), [], () => '', movement);
  say(byId('history-state'), '', 'Looking it up…');
  openDialog(byId('history-dialog'));
  load();
}

export function startHistory() {
  const dialog = byId('history-dialog');
  prepareDialog(dialog, byId('history-close'));
  dialog.addEventListener('close', () => {
    clearTimeout(later);
    underWay?.abort();
    underWay = null;
  });
  watch('transfers', refresh);
  watch('connection', (connection) => {
    if (connection.state === 'open') refresh();
  });
  // Ages go on; a question every half minute is all they need.
  everySecond(() => {
    if (dialog.open && performance.now() - asked > 30_000) refresh();
  });
}
