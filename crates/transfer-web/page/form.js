// @ts-check
/** The form that starts a transfer, and the daily batch. */
import { byId, changed, html, outLink, pointLink, setAttribute, setText } from './dom.js';
import { nameOf } from './entry.js';
import { parseAmount } from './money.js';
import { once, order, say, sentence } from './orders.js';
import { list, number, record, text } from './outside.js';
import { reveal } from './reveal.js';
import { watch } from './store.js';
import { showFrom } from './stream.js';

/**
 * Shows or clears the error of one field.
 * @param {HTMLElement} field
 * @param {string} error empty if the field is valid
 */
function setError(field, error) {
  setText(byId(`${field.id}-error`), error);
  setAttribute(field, 'aria-invalid', error ? 'true' : null);
}

/**
 * Checks what can be checked here. The server checks it again, and has the last word.
 * @returns {{from_account: string, to_account: string, amount: number} | null} null after showing the errors
 */
function check() {
  const from = byId('from');
  const to = byId('to');
  const amount = byId('amount');
  const parsed = parseAmount(amount.value);
  setError(from, from.value ? '' : 'The bank has not responded yet, so there are no accounts to choose.');
  setError(to, from.value && from.value === to.value ? 'Choose two different accounts.' : '');
  setError(amount, 'error' in parsed ? parsed.error : '');
  const wrong = [from, to, amount].find((field) => field.hasAttribute('aria-invalid'));
  if (wrong) {
    wrong.focus();
    return null;
  }
  return { from_account: from.value, to_account: to.value, amount: 'error' in parsed ? 0 : parsed.amount };
}

/**
 * On a narrow screen, the list of transfers is in another tab.
 * @param {string} id
 */
function showButton(id) {
  const button = html('button', { type: 'button', class: 'show-transfer' }, 'Show it');
  button.addEventListener('click', () => {
    reveal(document.querySelector(`.transfer[data-workflow-id="${CSS.escape(id)}"]`) ?? 'transfers-panel');
  });
  return button;
}

/** Starts the transfer that the form describes; false if the form has errors. */
async function start() {
  const message = byId('form-message');
  const transfer = check();
  say(message, '');
  if (!transfer) return false;
  try {
    const started = await order('api/transfer', transfer);
    const link = outLink('Open in Temporal UI', 'inline-link');
    pointLink(link, started.ui_url);
    const id = text(started.workflow_id, 200);
    say(message, 'ok', 'Started ', html('code', {}, id), '. ', showButton(id), link);
    showFrom(0);
  } catch (error) {
    say(message, 'bad', sentence(error));
  }
  return true;
}

/** Starts twelve transfers at once. */
async function startBatch() {
  const message = byId('form-message');
  say(message, '', 'Starting…');
  try {
    const count = number((await order('api/batch', {})).started);
    say(message, 'ok', count === null ? 'Batch started.' : `${count} transfers started.`);
    showFrom(0);
  } catch (error) {
    say(message, 'bad', sentence(error));
  }
}

/** When the bank opened its ledger: a reset of the money opens a new one. @type {number | null} */
let ledger = null;

/**
 * Removes what the form said about transfers that a reset of the money has deleted.
 * @param {unknown} bank
 */
function forgetReset(bank) {
  const opened = number(record(bank).opened);
  if (ledger !== null && opened !== ledger) say(byId('form-message'), '');
  ledger = opened;
}

/**
 * Fills the two lists of accounts, only when the accounts differ, so that an open list is not disturbed.
 * @param {unknown} bank
 */
function drawAccounts(bank) {
  const names = list(record(bank).accounts).map((account) => text(record(account).account_number, 200)).filter(Boolean);
  [byId('from'), byId('to')].forEach((select, index) => {
    if (!changed(select, names)) return;
    const before = select.value;
    select.replaceChildren(...names.map((name) => html('option', { value: name }, name)));
    select.value = names.includes(before) ? before : (names[index] ?? names[0] ?? '');
    if (names.length > 0) setError(select, '');
  });
}

export function startForm() {
  const form = byId('transfer-form');
  const submit = byId('submit');
  const batch = byId('batch');
  form.addEventListener('submit', (/** @type {Event} */ event) => {
    event.preventDefault();
    once(submit, start);
  });
  // An amount that a stage asked for, such as one that exceeds the balance, is not meant for the next stage.
  let entry = '';
  watch('guide', (guide) => {
    const now = nameOf(record(guide));
    if (entry && now !== entry) byId('amount').value = byId('amount').defaultValue;
    entry = now;
  });
  // An error disappears on the first edit of its field; the next submit checks again.
  form.addEventListener('input', (/** @type {Event} */ event) => {
    const field = /** @type {HTMLElement} */ (event.target);
    setError(field, '');
    if (field.id === 'from') setError(byId('to'), '');
  });
  batch.addEventListener('click', () => once(batch, startBatch));
  watch('bank', drawAccounts);
  watch('bank', forgetReset);
}
