// @ts-check
/** The history of one account in a dialog: its transfers, kept current while the dialog is open. */
import { openDialog, prepareDialog } from './dialog.js';
import { byId, changed, html, outLink, pointLink, reconcile, setAttribute, setText, show } from './dom.js';
import { money } from './money.js';
import { ask, say, sentence } from './orders.js';
import { list, number, record, text } from './outside.js';
import { statusOf, statusPill } from './pill.js';
import { get, watch } from './store.js';
import { ago, everySecond } from './time.js';

/** The shortest time between two requests, however often something changes. */
const REFRESH_INTERVAL_MS = 1500;
/** When a request is given up, and how long to wait after a failed one. */
const REQUEST_TIMEOUT_MS = 40_000;
const RETRY_DELAY_MS = 10_000;

/** The transfers that are shown. @type {Set<ReturnType<typeof movement>>} */
const rows = new Set();

/** Whose history is open. */
let account = '';
/** The request in progress. @type {AbortController | null} */
let pending = null;
/** Whether something has changed since that request. */
let outdated = false;
let asked = 0;
/** @type {number | undefined} */
let later;

/** The sums of the summary, and their labels. */
const SUMS = /** @type {const} */ ([
  ['total_sent', 'Sent'],
  ['total_received', 'Received'],
  ['net_change', 'Net change'],
]);
const COUNTS = /** @type {const} */ ([
  ['transaction_count', 'Transfers'],
  ['completed_count', 'Completed'],
  ['running_count', 'In progress'],
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
    html('td', {}, direction, ' ', counterparty),
    amount,
    html('td', {}, status.element),
    age,
    html('td', {}, link, plainId),
  );
  /** @type {number | null} */
  let started = null;

  function tick() {
    setText(age, started === null ? '' : ago(started));
  }

  return {
    element,
    tick,
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
      setText(counterparty, text(row.counterparty, 200) || 'unknown');
      const moved = money(record(row.input).amount);
      setText(amount, moved ? `${sent ? '−' : '+'}${moved}` : '');
      status.update(statusOf(row));
      started = number(row.start_time);
      tick();
    },
  };
}

/** @param {Record<string, any>[]} found */
function drawRows(found) {
  reconcile(
    byId('history-rows'),
    found,
    (row) => `${row.workflow_id} ${row.direction}`,
    () => {
      const row = movement();
      rows.add(row);
      return row;
    },
    byId('history-scroll'),
  );
  for (const row of rows) if (!row.element.isConnected) rows.delete(row);
}

async function load() {
  clearTimeout(later);
  const mine = new AbortController();
  pending = mine;
  outdated = false;
  asked = performance.now();
  let delay = REFRESH_INTERVAL_MS;
  const state = byId('history-state');
  try {
    const answer = await ask(`api/accounts/${encodeURIComponent(account)}/workflows`, AbortSignal.any([mine.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]));
    if (pending !== mine) return;
    const found = list(answer.workflows).map(record);
    drawSummary(answer.summary);
    drawRows(found);
    show(byId('history-scroll'), found.length > 0);
    if (found.length === 0) say(state, '', 'This account has no transfers yet.');
    else if (state.textContent !== '') say(state, '');
  } catch (error) {
    if (pending !== mine) return;
    say(state, 'bad', sentence(error));
    outdated = true;
    delay = RETRY_DELAY_MS;
  }
  if (pending !== mine) return;
  pending = null;
  if (outdated) refresh(delay);
}

/**
 * Requests the history again after a change: at least this long after the last request, and after the pending one is done.
 * @param {number} [delay] in milliseconds
 */
function refresh(delay = REFRESH_INTERVAL_MS) {
  if (!byId('history-dialog').open) return;
  if (pending) {
    outdated = true;
    return;
  }
  clearTimeout(later);
  later = setTimeout(load, Math.max(0, delay - (performance.now() - asked)));
}

/** Cancels the pending and the scheduled request. */
function stop() {
  clearTimeout(later);
  pending?.abort();
  pending = null;
}

/**
 * Whether the list of transfers has changed in what this history shows: the counts, or a transfer of this account. Attempts
 * of other accounts' transfers do not matter.
 */
function affectsAccount() {
  const transfers = record(get('transfers'));
  const own = list(transfers.rows).map(record).filter((row) => {
    const input = record(row.input);
    return input.from_account === account || input.to_account === account;
  });
  const counts = [transfers.total, transfers.running, transfers.completed, transfers.failed];
  return changed(byId('history-rows'), [account, counts, own.map((row) => [row.workflow_id, statusOf(row).word])]);
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
  drawRows([]);
  say(byId('history-state'), '', 'Loading…');
  openDialog(byId('history-dialog'));
  stop();
  affectsAccount();
  load();
}

export function startHistory() {
  const dialog = byId('history-dialog');
  prepareDialog(dialog, byId('history-close'));
  dialog.addEventListener('close', stop);
  watch('transfers', () => {
    if (dialog.open && affectsAccount()) refresh();
  });
  watch('connection', (connection) => {
    if (connection.state === 'open') refresh();
  });
  everySecond(() => {
    if (dialog.open) for (const row of rows) row.tick();
  });
}
