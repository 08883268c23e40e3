// @ts-check
/**
 * Money: how it is shown, and how what somebody typed becomes an amount.
 * Nothing is added up here. Sums come from the server, which counts in cents.
 */

const DOLLARS = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' });
/** The most that one transfer may move, in cents. */
const MOST_CENTS = 100_000_000_000n;

/**
 * `$1,000.00`. What is no amount of whole cents is shown as it came, not rounded to something it is not.
 * @param {unknown} value
 * @returns {string}
 */
export function money(value) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '';
  if (Math.abs(value) >= 1e15 || Number(value.toFixed(2)) !== value) return `$${value}`;
  return DOLLARS.format(value);
}

/**
 * What somebody typed as an amount. The checks go by the digits themselves, so no float can round them.
 * @param {string} typed
 * @returns {{amount: number} | {error: string}}
 */
export function parseAmount(typed) {
  const plain = typed.trim().replace(/^\$\s*/, '');
  if (plain === '') return { error: 'Type an amount, such as 25.50.' };
  if (/^[-−]/.test(plain)) return { error: 'The amount must be more than zero.' };
  const grouped = /^\d{1,3}(,\d{3})+(\.\d*)?$/.test(plain);
  if (!grouped && /^\d+,\d{1,2}$/.test(plain)) return { error: 'Write a dot before the cents: 25.50.' };
  const parts = /^(\d+)(?:\.(\d*))?$|^\.(\d+)$/.exec(grouped ? plain.replaceAll(',', '') : plain);
  if (!parts) return { error: 'That is no amount. Write it like 25.50.' };
  const dollars = parts[1] ?? '0';
  const cents = parts[2] ?? parts[3] ?? '';
  if (cents.length > 2) return { error: 'At most two digits after the dot.' };
  const inCents = BigInt(dollars + cents.padEnd(2, '0'));
  if (inCents === 0n) return { error: 'The amount must be more than zero.' };
  if (inCents > MOST_CENTS) return { error: 'The most is $1,000,000,000.00.' };
  return { amount: Number(`${dollars}.${cents || '0'}`) };
}
