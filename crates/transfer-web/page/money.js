// @ts-check
/**
 * Money: formatting amounts, and parsing what somebody typed.
 * Nothing is added up here. Sums come from the server, which counts in cents.
 */

const DOLLARS = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' });
/** The most that one transfer may move, in cents. */
const MOST_CENTS = 100_000_000_000n;

/**
 * `$1,000.00`. A number with fractions of a cent is shown unrounded.
 * @param {unknown} value
 * @returns {string}
 */
export function money(value) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '';
  if (Math.abs(value) >= 1e15 || Number(value.toFixed(2)) !== value) return `$${value}`;
  return DOLLARS.format(value);
}

/**
 * Parses what somebody typed. The checks look at the digits, so that no float rounds them.
 * @param {string} typed
 * @returns {{amount: number} | {error: string}}
 */
export function parseAmount(typed) {
  const plain = typed.trim().replace(/^\$\s*/, '');
  if (plain === '') return { error: 'Enter an amount, such as 25.50.' };
  if (/^[-−]/.test(plain)) return { error: 'The amount must be more than zero.' };
  const grouped = /^\d{1,3}(,\d{3})+(\.\d*)?$/.test(plain);
  if (!grouped && /^\d+,\d{1,2}$/.test(plain)) return { error: 'Write a dot before the cents: 25.50.' };
  const parts = /^(\d+)(?:\.(\d*))?$|^\.(\d+)$/.exec(grouped ? plain.replaceAll(',', '') : plain);
  if (!parts) return { error: 'Enter an amount, such as 25.50.' };
  const dollars = parts[1] ?? '0';
  const cents = parts[2] ?? parts[3] ?? '';
  if (cents.length > 2) return { error: 'Enter at most two digits after the dot.' };
  const inCents = BigInt(dollars + cents.padEnd(2, '0'));
  if (inCents === 0n) return { error: 'The amount must be more than zero.' };
  if (inCents > MOST_CENTS) return { error: 'The maximum is $1,000,000,000.00.' };
  return { amount: Number(`${dollars}.${cents || '0'}`) };
}
