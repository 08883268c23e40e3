// @ts-check
/** The accounts and their balances. A click on one opens its history. */
import { byId, html, reconcile, setAttribute, setText, show } from './dom.js';
import { openHistory } from './history.js';
import { money } from './money.js';
import { list, number, record, text } from './outside.js';
import { watch } from './store.js';

function account() {
  const name = html('span', { class: 'account-name' });
  const balance = html('span', { class: 'balance' });
  const button = html('button', { type: 'button', class: 'account', 'aria-haspopup': 'dialog' }, name, ' ', balance);
  const element = html('li', {}, button);
  /** @type {number | null} */
  let before = null;
  button.addEventListener('click', () => {
    if (button.dataset.account) openHistory(button.dataset.account);
  });
  // Removed when the animation ends, so that the next change starts it again.
  balance.addEventListener('animationend', () => balance.classList.remove('changed'));
  return {
    element,
    /** @param {any} value */
    update(value) {
      const holds = number(value.balance);
      setAttribute(button, 'data-account', text(value.account_number, 200));
      setText(name, text(value.account_number, 200));
      setText(balance, money(holds) || 'unknown');
      if (before !== null && holds !== before) balance.classList.add('changed');
      before = holds;
    },
  };
}

/** @param {unknown} value */
function draw(value) {
  const bank = record(value);
  const accounts = list(bank.accounts).map(record);
  show(byId('accounts-empty'), accounts.length === 0);
  reconcile(byId('accounts'), accounts, (one) => one.account_number, account);
  const total = money(bank.total);
  const difference = number(bank.in_transit);
  const inTransit = money(difference === null ? null : Math.abs(difference));
  show(byId('sums'), Boolean(total || inTransit));
  setText(byId('total'), total);
  // More money than at the start: some was deposited without having been withdrawn.
  setText(byId('in-transit-label'), difference !== null && difference < 0 ? 'Created from nothing' : 'In transit');
  setText(byId('in-transit'), inTransit);
  setAttribute(byId('in-transit'), 'data-some', Boolean(difference));
}

export function startAccounts() {
  watch('bank', draw);
}
