// @ts-check
/** Real World Mode with its rates, outages, and the reset of all money. */
import { openDialog, prepareDialog } from './dialog.js';
import { byId, setAttribute, setText } from './dom.js';
import { once, order, say, sentence } from './orders.js';
import { number, record, text } from './outside.js';
import { get, watch } from './store.js';
import { showFrom } from './stream.js';

/** The switches: how to read each from the bank's state, and the request that sets it. */
const SWITCHES = [
  {
    id: 'real-world',
    /** @param {Record<string, any>} bank */
    isOn: (bank) => record(bank.real_world_mode).enabled,
    path: 'api/real-world-mode',
    field: 'enabled',
    says: 'Real World Mode',
  },
  {
    id: 'outage-withdrawals',
    /** @param {Record<string, any>} bank */
    isOn: (bank) => record(bank.outage).withdrawals,
    path: 'api/outage',
    field: 'withdrawals',
    says: 'The withdrawal outage',
  },
  {
    id: 'outage-deposits',
    /** @param {Record<string, any>} bank */
    isOn: (bank) => record(bank.outage).deposits,
    path: 'api/outage',
    field: 'deposits',
    says: 'The deposit outage',
  },
];

/** The numeric rates: the field, the JSON key, the factor between them, the maximum, and the error. */
const RATES = /** @type {const} */ ([
  ['error-rate', 'error_rate', 100, 100, 'Errors must be from 0 to 100%.'],
  ['timeout-rate', 'timeout_rate', 100, 100, 'Timeouts must be from 0 to 100%.'],
  ['timeout-seconds', 'timeout_seconds', 1, 300, 'The timeout must be from 0 to 300 seconds.'],
]);

/** Switches with a pending request: an event from before it must not flip them back. */
const pending = new Set();
/** Whether somebody is editing the rates: then events from the server do not overwrite them. */
let editing = false;

/** @param {Record<string, any>} bank */
function drawSwitches(bank) {
  for (const one of SWITCHES) {
    if (pending.has(one.id)) continue;
    const known = one.isOn(bank);
    const box = byId(one.id);
    box.disabled = typeof known !== 'boolean';
    box.checked = known === true;
  }
}

/** @param {unknown} rate */
function percent(rate) {
  const known = number(rate);
  return known === null ? '' : String(Math.round(known * 10000) / 100);
}

/** @param {Record<string, any>} mode */
function drawRates(mode) {
  const errors = percent(mode.error_rate);
  const timeouts = percent(mode.timeout_rate);
  setText(
    byId('real-world-says'),
    errors && timeouts ? `Rates: ${errors}% fail, ${timeouts}% time out` : 'Rates',
  );
  if (editing) return;
  for (const [id, name, scale] of RATES) {
    const shown = scale === 100 ? percent(mode[name]) : text(mode[name], 12);
    if (byId(id).value !== shown) byId(id).value = shown;
    setAttribute(byId(id), 'aria-invalid', null);
  }
  const strikes = text(mode.strikes, 12);
  if (['before', 'after', 'either'].includes(strikes)) byId('strikes').value = strikes;
  setText(byId('rates-error'), '');
}

/** @param {unknown} value */
function draw(value) {
  const bank = record(value);
  drawSwitches(bank);
  drawRates(record(bank.real_world_mode));
}

/**
 * @param {typeof SWITCHES[number]} one
 * @param {HTMLInputElement} box
 */
async function turn(one, box) {
  const message = byId('bank-message');
  const wanted = box.checked;
  pending.add(one.id);
  try {
    await order(one.path, { [one.field]: wanted });
    say(message, 'ok', `${one.says} is ${wanted ? 'on' : 'off'}.`);
  } catch (error) {
    box.checked = !wanted;
    say(message, 'bad', sentence(error));
  }
  pending.delete(one.id);
  // If the switch was flipped again in the meantime, the last position counts.
  if (box.checked !== wanted && message.dataset.tone === 'ok') await turn(one, box);
}

/** Checks the rates and sends them; false if the form has errors. */
async function useRates() {
  /** @type {Record<string, unknown>} */
  const rates = { strikes: byId('strikes').value };
  for (const [id, name, scale, most, error] of RATES) {
    const field = byId(id);
    const typed = field.value.trim();
    const value = /^\d+(\.\d+)?$/.test(typed) ? Number(typed) : NaN;
    const wrong = !(value >= 0 && value <= most);
    setAttribute(field, 'aria-invalid', wrong ? 'true' : null);
    if (wrong) {
      setText(byId('rates-error'), error);
      field.focus();
      return false;
    }
    rates[name] = value / scale;
  }
  if (Number(byId('error-rate').value) + Number(byId('timeout-rate').value) > 100) {
    setText(byId('rates-error'), 'Errors and timeouts together must be at most 100%.');
    setAttribute(byId('error-rate'), 'aria-invalid', 'true');
    byId('error-rate').focus();
    return false;
  }
  setText(byId('rates-error'), '');
  try {
    const mode = await order('api/real-world-mode', rates);
    editing = false;
    drawRates(mode);
    say(byId('bank-message'), 'ok', 'Rates changed.');
  } catch (error) {
    setText(byId('rates-error'), sentence(error));
  }
  return true;
}

async function reset() {
  byId('reset-dialog').close();
  const message = byId('bank-message');
  say(message, '', 'Resetting…');
  try {
    const answer = await order('api/reset', {});
    say(message, 'ok', text(answer.message, 400) || 'Balances and transfers have been reset. Your code is unchanged.');
    showFrom(0);
  } catch (error) {
    say(message, 'bad', sentence(error));
  }
}

export function startSwitches() {
  for (const one of SWITCHES) {
    const box = byId(one.id);
    box.addEventListener('change', () => {
      if (!pending.has(one.id)) turn(one, box);
    });
  }
  const form = byId('rates-form');
  form.addEventListener('input', () => {
    editing = true;
  });
  form.addEventListener('submit', (/** @type {Event} */ event) => {
    event.preventDefault();
    once(byId('apply-rates'), useRates);
  });
  // Closing the rates discards edits that were not applied.
  byId('rates').addEventListener('toggle', () => {
    if (byId('rates').open) return;
    editing = false;
    drawRates(record(record(get('bank')).real_world_mode));
  });
  const dialog = byId('reset-dialog');
  prepareDialog(dialog, byId('reset-cancel'));
  byId('reset').addEventListener('click', () => openDialog(dialog));
  byId('reset-confirm').addEventListener('click', () => once(byId('reset-confirm'), reset));
  watch('bank', draw);
}
