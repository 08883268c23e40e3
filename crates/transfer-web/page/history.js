// @ts-check
/** The history of one account, in a dialog: what it has sent and received. It stays current while it is open. */
import { openDialog, prepareDialog } from './dialog.js';
import { byId, changed, html, outLink, pointLink, reconcile, setAttribute, setText, show } from './dom.js';
import { money } from './money.js';
import { ask, say, sentence } from './orders.js';
import { list, number, record, text } from './outside.js';
import { statusOf, statusPill } from './pill.js';
import { get, watch } from './store.js';
import { ago, everySecond } from './time.js';

/** At most one question in this many milliseconds, however often something changes. */
const REST = 1500;
/** Milliseconds after which a question is given up, and those until it is asked again when it failed. */
const REQUEST_TIMEOUT_MS = 40_000;
const AFTER_FAILURE = 10_000;

/** The transfers that are shown. @type {Set<ReturnType<typeof movement>>} */
const rows = new Set();

/** Whose history is open. */
let account = '';
/** The question that is under way. @type {AbortController | null} */
let underWay = null;
/** Whether something has changed since that was asked. */
let outdated = false;
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
      setText(counterparty, text(row.counterparty, 200) || 'not known');
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
  underWay = mine;
  outdated = false;
  asked = performance.now();
  let rest = REST;
  const state = byId('history-state');
  try {
    const answer = await ask(`/api/accounts/${encodeURIComponent(account)}/workflows`, AbortSignal.any([mine.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]));
    if (underWay !== mine) return;
    const found = list(answer.workflows).map(record);
    drawSummary(answer.summary);
    drawRows(found);
    show(byId('history-scroll'), found.length > 0);
    if (found.length === 0) say(state, '', 'This account has sent and received nothing yet.');
    else if (state.textContent !== '') say(state, '');
  } catch (error) {
    if (underWay !== mine) return;
    say(state, 'bad', sentence(error));
    outdated = true;
    rest = AFTER_FAILURE;
  }
  if (underWay !== mine) return;
  underWay = null;
  if (outdated) refresh(rest);
}

/**
 * Asks again after something has changed: now, or when it has not been asked for so long, or once the answer that is under way
 * is there.
 * @param {number} [rest] in milliseconds
 */
function refresh(rest = REST) {
  if (!byId('history-dialog').open) return;
  if (underWay) {
    outdated = true;
    return;
  }
  clearTimeout(later);
  later = setTimeout(load, Math.max(0, rest - (performance.now() - asked)));
}

/** Gives up what is asked or is to be asked. */
function stop() {
  clearTimeout(later);
  underWay?.abort();
  underWay = null;
}

/**
 * Tells whether the list of transfers has changed in what a history shows: how many there are of which kind, and the account's
 * own. The attempts of somebody else's transfer are none of it.
 */
function concerns() {
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
  say(byId('history-state'), '', 'Looking it up…');
  openDialog(byId('history-dialog'));
  stop();
  concerns();
  load();
}

export function startHistory() {
  const dialog = byId('history-dialog');
  prepareDialog(dialog, byId('history-close'));
  dialog.addEventListener('close', stop);
  watch('transfers', () => {
    if (dialog.open && concerns()) refresh();
  });
  watch('connection', (connection) => {
    if (connection.state === 'open') refresh();
  });
  everySecond(() => {
    if (dialog.open) for (const row of rows) row.tick();
  });
}
