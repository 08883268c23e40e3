// @ts-check
/** Copy buttons: every element with class `copy` and a `data-copy`, including those that the server puts in a stage's text. */
import { announce } from './announce.js';
import { html } from './dom.js';

/** How long a button shows `Copied`, in milliseconds. */
const SHOWN = 1800;

/**
 * @param {string} what
 * @param {string} [className]
 * @returns {HTMLButtonElement}
 */
export function copyButton(what, className = 'copy') {
  const button = html('button', { type: 'button', class: className }, 'Copy');
  setCopy(button, what);
  return button;
}

/**
 * Sets what a copy button copies, and a label for screen readers that names it.
 * @param {HTMLElement} button
 * @param {string} what
 */
export function setCopy(button, what) {
  if (button.dataset.copy === what && button.hasAttribute('aria-label')) return;
  button.dataset.copy = what;
  button.setAttribute('aria-label', `Copy ${what.slice(0, 120)}`);
}

/**
 * A command with its copy button.
 * @param {string} line
 * @returns {HTMLElement}
 */
export function command(line) {
  return html('div', { class: 'command' }, html('code', {}, line), copyButton(line));
}

/**
 * Copies by selecting a text field, for browsers and pages without the clipboard API.
 * @param {string} what
 */
function copyBySelection(what) {
  const before = document.activeElement;
  const field = html('textarea', { class: 'visually-hidden', 'aria-hidden': 'true', tabindex: -1 });
  field.value = what;
  // While a dialog is open, nothing outside it can be selected.
  (document.querySelector('dialog[open]') ?? document.body).append(field);
  field.select();
  let done = false;
  try {
    done = document.execCommand('copy');
  } catch {
    done = false;
  }
  field.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  return done;
}

/**
 * Copies a text, and returns whether the browser allowed it.
 * @param {string} what
 */
export async function copyText(what) {
  try {
    await navigator.clipboard.writeText(what);
    return true;
  } catch {
    return copyBySelection(what);
  }
}

/** Makes every copy button work, including those added later. */
export function startCopying() {
  /** @type {WeakMap<HTMLElement, number>} */
  const timers = new WeakMap();
  document.addEventListener('click', async (event) => {
    const button = event.target instanceof Element ? event.target.closest('.copy') : null;
    if (!(button instanceof HTMLElement)) return;
    const what = button.dataset.copy ?? '';
    const done = await copyText(what);
    announce(done ? `Copied: ${what.slice(0, 120)}` : 'The browser did not allow copying. Select the text and copy it yourself.');
    const label = button.getAttribute('aria-label');
    button.textContent = done ? 'Copied' : 'Not copied';
    button.dataset.copied = String(done);
    if (label) button.setAttribute('aria-label', label.replace(/^(Copy|Copied|Not copied)\b/, button.textContent));
    clearTimeout(timers.get(button));
    timers.set(button, setTimeout(() => {
      button.textContent = 'Copy';
      delete button.dataset.copied;
      button.setAttribute('aria-label', `Copy ${(button.dataset.copy ?? '').slice(0, 120)}`);
    }, SHOWN));
  });
}
