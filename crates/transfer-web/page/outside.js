// @ts-check
/**
 * Data from outside may be missing, of an unexpected type, huge or hostile: other clients start transfers too, with any
 * JSON as their input. These functions make it safe to use. None of them throws.
 */

/** Longer texts are truncated, so that one row cannot slow the page down; CSS clips what is still too long. */
const LONGEST = 2000;

/**
 * Anything as text. Values other than strings are shown as JSON.
 * @param {unknown} value
 * @param {number} [longest]
 * @returns {string}
 */
export function text(value, longest = LONGEST) {
  if (value === null || value === undefined) return '';
  let said;
  if (typeof value === 'string') said = value;
  else {
    try {
      said = JSON.stringify(value) ?? '';
    } catch {
      said = '';
    }
  }
  return said.length > longest ? `${said.slice(0, longest)}…` : said;
}

/**
 * @param {unknown} value
 * @returns {any[]} the list, or an empty one
 */
export function list(value) {
  return Array.isArray(value) ? value : [];
}

/**
 * @param {unknown} value
 * @returns {Record<string, any>} the object, or an empty one
 */
export function record(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? /** @type {any} */ (value) : {};
}

/**
 * @param {unknown} value
 * @returns {boolean}
 */
export function isRecord(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/**
 * @param {unknown} value
 * @returns {number | null} a finite number, or null
 */
export function number(value) {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/**
 * The address for a link, or null unless it is http or https (`javascript:`, for example).
 * @param {unknown} value
 * @returns {string | null}
 */
export function webAddress(value) {
  if (typeof value !== 'string' || value.length > LONGEST) return null;
  try {
    const url = new URL(value, location.href);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
  } catch {
    return null;
  }
}

/**
 * @param {string} says
 * @returns {string} the same with a capital
 */
export function capitalized(says) {
  return says.charAt(0).toUpperCase() + says.slice(1);
}

/**
 * @param {string} says
 * @returns {string} the same as a sentence
 */
export function asSentence(says) {
  const first = capitalized(says);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
