// @ts-check
/** Requests to the server, and the state of a button while its request is pending. */
import { record, text } from './outside.js';

/** Starting twelve transfers may take a while on a busy machine. */
const REQUEST_TIMEOUT_SECONDS = 40;
/** A button ignores a second click for this long, so that a double click sends one request. */
const DOUBLE_CLICK_MS = 800;

/** Why a request failed, as a sentence to show. */
export class OrderError extends Error {}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<Record<string, any>>}
 */
async function request(path, options) {
  let response;
  try {
    response = await fetch(path, { cache: 'no-store', ...options });
  } catch (error) {
    if (options.signal?.aborted && options.signal.reason?.name !== 'TimeoutError') throw error;
    throw new OrderError(
      options.signal?.aborted ? 'The server did not respond in time.' : 'The page cannot connect to its server.',
    );
  }
  let body = null;
  try {
    body = await response.json();
  } catch {
    // Handled below: without a JSON body, the error names the status.
  }
  if (!response.ok) throw new OrderError(text(record(body).error, 400) || `The server responded with status ${response.status}.`);
  return record(body);
}

/**
 * Sends a POST request.
 * @param {string} path
 * @param {object} body
 * @param {number} [timeout] in seconds
 * @throws {OrderError} with the server's own sentence if it sent one
 */
export function order(path, body, timeout = REQUEST_TIMEOUT_SECONDS) {
  return request(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeout * 1000),
  });
}

/**
 * Sends a GET request.
 * @param {string} path
 * @param {AbortSignal} signal cancels it
 */
export function ask(path, signal) {
  return request(path, { signal });
}

/**
 * The sentence for something that went wrong.
 * @param {unknown} error
 */
export function sentence(error) {
  return error instanceof OrderError ? error.message : 'Something went wrong. Reload the page and try again.';
}

/**
 * Runs a button's action, and ignores further clicks until it is done. The button is not disabled meanwhile, because it
 * would lose the focus.
 * @param {HTMLElement} button
 * @param {() => Promise<boolean | void>} action returns false if it sent no request, so that the next click counts at once
 */
export async function once(button, action) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  const began = performance.now();
  let hold = DOUBLE_CLICK_MS;
  try {
    if ((await action()) === false) hold = 0;
  } finally {
    const rest = hold - (performance.now() - began);
    if (rest <= 0) button.removeAttribute('aria-disabled');
    else setTimeout(() => button.removeAttribute('aria-disabled'), rest);
  }
}

/**
 * Shows the result of a request in a live region, which screen readers announce.
 * @param {HTMLElement} place
 * @param {'ok' | 'bad' | ''} tone
 * @param {(Node | string)[]} parts
 */
export function say(place, tone, ...parts) {
  place.dataset.tone = tone;
  place.replaceChildren(...parts);
}
