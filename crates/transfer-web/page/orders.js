// @ts-check
/** Orders and questions to the server, and what becomes of a button while one is under way. */
import { record, text } from './outside.js';

/** Seconds after which an order is given up. Starting a dozen transfers may take a while on a busy machine. */
const REQUEST_TIMEOUT_SECONDS = 40;
/** A button takes no second click for this many milliseconds, so that a double click orders once. */
const HOLD = 800;

/** Why an order was not carried out, as a sentence to show. */
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
      options.signal?.aborted ? 'The server did not answer in time.' : 'The server of this page does not answer.',
    );
  }
  let body = null;
  try {
    body = await response.json();
  } catch {
    // Said below: an answer without JSON is only fit for its status.
  }
  if (!response.ok) throw new OrderError(text(record(body).error, 400) || `The server answered with status ${response.status}.`);
  return record(body);
}

/**
 * Sends an order.
 * @param {string} path
 * @param {object} body
 * @param {number} [timeout] seconds after which it is given up
 * @throws {OrderError} with the server's own sentence where it has one
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
 * Asks a question.
 * @param {string} path
 * @param {AbortSignal} signal ends the wait
 */
export function ask(path, signal) {
  return request(path, { signal });
}

/**
 * The sentence for something that went wrong.
 * @param {unknown} error
 */
export function sentence(error) {
  return error instanceof OrderError ? error.message : 'That did not work.';
}

/**
 * Does something for a button, and nothing more for it until that is done. The button is not disabled meanwhile: it would
 * lose the focus.
 * @param {HTMLElement} button
 * @param {() => Promise<boolean | void>} action false when it ordered nothing, so that there is nothing to order twice
 */
export async function once(button, action) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  const began = performance.now();
  let hold = HOLD;
  try {
    if ((await action()) === false) hold = 0;
  } finally {
    const rest = hold - (performance.now() - began);
    if (rest <= 0) button.removeAttribute('aria-disabled');
    else setTimeout(() => button.removeAttribute('aria-disabled'), rest);
  }
}

/**
 * Shows what came of an order, in a place that is read aloud.
 * @param {HTMLElement} place
 * @param {'ok' | 'bad' | ''} tone
 * @param {(Node | string)[]} parts
 */
export function say(place, tone, ...parts) {
  place.dataset.tone = tone;
  place.replaceChildren(...parts);
}
